import { ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';

/**
 * The TCP connections of a server, known by their links: where each leads, and which have not shown yet that an OpenVPN client is behind them.
 * Those get a limited time, and there is room for a limited number.
 */
export class StreamConnections {
  readonly #windowMs: number;
  readonly #maxSilent: number;
  readonly #all: Map<number, LinkAddress> = new Map();
  /** Until when each of them may be silent, the first to go first. */
  readonly #silent: Map<number, Instant> = new Map();
  /** Those that nobody needs any more, until they are taken. */
  #unused: Set<number> = new Set();

  /** @param options.windowMs --hand-window */
  constructor(options: { readonly windowMs: number; readonly maxSilent: number }) {
    this.#windowMs = options.windowMs;
    this.#maxSilent = options.maxSilent;
  }

  /** A connection was accepted. Returns the link of one that has to go for it: the one that is silent longest. */
  add(now: Instant, address: LinkAddress): number | undefined {
    const link = address[ADDRESS_LINK];
    const [oldest] = this.#silent.keys();
    const evicted = this.#silent.size >= this.#maxSilent ? oldest : undefined;
    this.#all.set(link, address);
    this.#silent.set(link, now + this.#windowMs);
    return evicted;
  }

  /** Whether packets of this link come from a connection. */
  has(link: number): boolean {
    return this.#all.has(link);
  }

  /** An OpenVPN client has spoken: from now on its own timers count. */
  markHeard(link: number): void {
    this.#silent.delete(link);
  }

  /** Forgets a connection. Returns where it led; undefined when it is unknown. */
  remove(link: number): LinkAddress | undefined {
    const address = this.#all.get(link);
    this.#all.delete(link);
    this.#silent.delete(link);
    return address;
  }

  /** Nobody needs this connection any more: its client is gone, or there never was one. */
  markUnused(link: number): void {
    this.#unused.add(link);
  }

  /** The links that were marked since the last call; they are forgotten, and to be closed. */
  takeUnused(): Iterable<number> {
    const links = this.#unused;
    if (links.size === 0) return links;
    this.#unused = new Set();
    for (const link of links) this.remove(link);
    return links;
  }

  /** The links that have been silent for too long. They stay until they are removed. */
  overdue(now: Instant): readonly number[] {
    const links: number[] = [];
    for (const [link, deadline] of this.#silent) {
      if (deadline > now) break;
      links.push(link);
    }
    return links;
  }

  nextTimeout(): Instant {
    for (const deadline of this.#silent.values()) return deadline;
    return NEVER;
  }
}
