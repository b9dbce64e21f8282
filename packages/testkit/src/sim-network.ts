import { linkAddress, parseEndpoint } from '@openvpnd/external-mux';
import {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  type LinkAddress,
} from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { type LinkConditions, PERFECT } from './link-conditions.js';
import type { SeededRandom } from './seeded-random.js';
import { SimLink, type SimLinkHost } from './sim-link.js';
import type { VirtualClock } from './virtual-clock.js';

/** Where {@link SimNetwork} shows a packet that it takes; both arrays are borrowed. */
export type Tap = (packet: Uint8Array, from: LinkAddress, to: LinkAddress) => void;

/** What the network did, in packets. */
export interface SimNetworkCounters {
  carried: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
  /** Nobody had the address. */
  unreachable: number;
}

/**
 * A network of {@link SimLink}s in virtual time, with faults. Each ordered pair of links has its own random sequence, forked from the
 * seed, so that traffic elsewhere does not change what happens here.
 */
export class SimNetwork {
  readonly counters: SimNetworkCounters = {
    carried: 0,
    lost: 0,
    duplicated: 0,
    reordered: 0,
    corrupted: 0,
    unreachable: 0,
  };
  /** What holds where `setConditions` said nothing else. May be replaced at any time. */
  conditions: LinkConditions;
  readonly #clock: VirtualClock;
  readonly #random: SeededRandom;
  readonly #links: Map<string, SimLink> = new Map();
  /** The address under which others see a link: its own, or what a NAT made of it. */
  readonly #public: Map<SimLink, LinkAddress> = new Map();
  readonly #paths: Map<string, Path> = new Map();
  readonly #streams: Map<SimLink, Stream> = new Map();
  readonly #host: SimLinkHost;
  #tap: Tap | undefined;
  #nextId = 1;
  #nextPort = 40_000;

  constructor(options: {
    readonly clock: VirtualClock;
    readonly random: SeededRandom;
    readonly conditions?: Partial<LinkConditions>;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.conditions = { ...PERFECT, ...options.conditions };
    // Each link gets its turns apart from every event loop.
    this.#host = {
      soon: (fire) => this.#clock.soon(fire),
      later: (fire) => void this.#clock.schedule(this.#clock.now() + 1, fire),
      transmit: (from, packet, to) => this.#transmit(from, packet, to),
      closed: (link) => this.#closed(link),
    };
  }

  /**
   * Opens a UDP link.
   *
   * @param host a numeric address
   * @param port 0 or absent: one that is free
   * @throws Error with code EADDRINUSE
   */
  openLink(host: string, port = 0, options: { readonly queuePackets?: number } = {}): SimLink {
    const local = this.#addressOf(host, port);
    if (this.#links.has(keyOf(local))) {
      throw Object.assign(new Error(`address already in use: ${host} ${port}`), { code: 'EADDRINUSE' });
    }
    const link = this.#makeLink('udp', local, options.queuePackets);
    this.#links.set(keyOf(local), link);
    return link;
  }

  /**
   * Opens both ends of a stream connection whose packets are framed already: nothing is lost, doubled or overtaken, only the delay
   * of the conditions holds. Closing one end breaks the other.
   */
  openStream(
    client: readonly [host: string, port: number],
    server: readonly [host: string, port: number],
  ): readonly [SimLink, SimLink] {
    const a = this.#makeLink('tcp', this.#addressOf(...client));
    const b = this.#makeLink('tcp', this.#addressOf(...server));
    this.#streams.set(a, { peer: b, busyUntil: 0 });
    this.#streams.set(b, { peer: a, busyUntil: 0 });
    return [a, b];
  }

  /** Conditions from one UDP link to another, in this direction only; undefined: those of the network again. */
  setConditions(from: SimLink, to: SimLink, conditions: Partial<LinkConditions> | undefined): void {
    this.#path(from, to).conditions = conditions && { ...PERFECT, ...conditions };
  }

  /** The address under which others see a link, in words without a link. */
  publicAddress(link: SimLink): LinkAddress {
    const address = (this.#public.get(link) ?? link.localAddress()).slice();
    address[ADDRESS_LINK] = 0;
    return address;
  }

  /**
   * A NAT in front of `link` forgets its mapping and makes another: from now on its packets come from there, and what was sent to the old
   * address is lost. The link does not notice.
   *
   * @param port 0 or absent: one that is free
   * @param host absent: the address stays and only the port changes
   */
  rebind(link: SimLink, port = 0, host?: string): void {
    const old = this.publicAddress(link);
    const fresh = host === undefined ? old.slice() : this.#addressOf(host, port);
    fresh[ADDRESS_PORT] = port === 0 ? this.#freePort() : port;
    if (this.#links.has(keyOf(fresh))) throw new RangeError('another link has that address');
    this.#links.delete(keyOf(old));
    this.#links.set(keyOf(fresh), link);
    this.#public.set(link, fresh);
  }

  /** Two links exchange their public addresses. */
  swapAddresses(a: SimLink, b: SimLink): void {
    const [addressA, addressB] = [this.publicAddress(a), this.publicAddress(b)];
    this.#public.set(a, addressB);
    this.#public.set(b, addressA);
    this.#links.set(keyOf(addressA), b);
    this.#links.set(keyOf(addressB), a);
  }

  /** Shows every packet that is sent, before any fault. Undefined takes the tap away. */
  tap(tap: Tap | undefined): void {
    this.#tap = tap;
  }

  /** Puts a packet on the wire as if it came from `from`, whoever has that address: an attacker. Copies it. It arrives after 0 ms. */
  spoof(packet: Uint8Array, from: LinkAddress, to: SimLink): void {
    const source = from.slice();
    const bytes = packet.slice();
    this.#clock.schedule(this.#clock.now(), () => to.deliver(bytes, source));
  }

  #makeLink(protocol: 'udp' | 'tcp', local: LinkAddress, queuePackets?: number): SimLink {
    const id = this.#nextId;
    this.#nextId += 1;
    return new SimLink({ id, protocol, host: this.#host, local, queuePackets });
  }

  #addressOf(host: string, port: number): LinkAddress {
    const endpoint = parseEndpoint(host, port === 0 ? this.#freePort() : port);
    if (endpoint === undefined) throw new RangeError(`not an address: ${host} ${port}`);
    return linkAddress(endpoint);
  }

  #freePort(): number {
    this.#nextPort = this.#nextPort === 65_535 ? 40_000 : this.#nextPort + 1;
    return this.#nextPort;
  }

  #path(from: SimLink, to: SimLink): Path {
    const name = `${from.id}>${to.id}`;
    let path = this.#paths.get(name);
    if (path === undefined) {
      path = { random: this.#random.fork(name), conditions: undefined, burstUntil: Number.NEGATIVE_INFINITY };
      this.#paths.set(name, path);
    }
    return path;
  }

  #transmit(from: SimLink, packet: Uint8Array, to: LinkAddress): void {
    const stream = this.#streams.get(from);
    const source = stream ? from.localAddress() : this.publicAddress(from);
    this.#tap?.(packet, source, to);
    if (stream) {
      this.#transmitStream(stream, packet, source);
      return;
    }
    const target = this.#links.get(keyOf(to));
    if (target === undefined || to[ADDRESS_FAMILY] !== source[ADDRESS_FAMILY]) {
      this.counters.unreachable += 1;
      return;
    }
    const path = this.#path(from, target);
    const conditions = path.conditions ?? this.conditions;
    const { random } = path;
    const now = this.#clock.now();
    // Every decision is drawn, whether it matters or not: the sequence must not depend on the conditions.
    const lost = random.chance(conditions.loss);
    const burst = random.chance(conditions.burst);
    const corrupted = random.chance(conditions.corrupt);
    const bit = random.below(Math.max(1, packet.length * 8));
    const reordered = random.chance(conditions.reorder);
    const duplicated = random.chance(conditions.duplicate);
    const delay = conditions.delayMs + random.fraction() * conditions.jitterMs;
    const delayOfCopy = conditions.delayMs + random.fraction() * conditions.jitterMs;
    if (burst) path.burstUntil = Math.max(path.burstUntil, now + conditions.burstMs);
    if (lost || now < path.burstUntil || packet.length > conditions.mtuBytes) {
      this.counters.lost += 1;
      return;
    }
    const bytes = packet.slice();
    if (corrupted && bytes.length > 0) {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      this.counters.corrupted += 1;
    }
    if (reordered) this.counters.reordered += 1;
    if (duplicated) {
      this.counters.duplicated += 1;
      this.#carry(target, bytes.slice(), source.slice(), to.slice(), now + delayOfCopy);
    }
    this.#carry(target, bytes, source, to.slice(), now + delay + (reordered ? conditions.reorderMs : 0));
  }

  #carry(target: SimLink, packet: Uint8Array, from: LinkAddress, to: LinkAddress, at: Instant): void {
    this.#clock.schedule(at, () => {
      // On arrival the address may belong to another, or to nobody: NATs forget while packets are under way.
      if (this.#links.get(keyOf(to)) !== target) {
        this.counters.unreachable += 1;
        return;
      }
      this.counters.carried += 1;
      target.deliver(packet, from);
    });
  }

  #transmitStream(stream: Stream, packet: Uint8Array, source: LinkAddress): void {
    const bytes = packet.slice();
    const at = Math.max(this.#clock.now() + this.conditions.delayMs, stream.busyUntil);
    stream.busyUntil = at;
    this.#clock.schedule(at, () => {
      this.counters.carried += 1;
      stream.peer.deliver(bytes, source);
    });
  }

  #closed(link: SimLink): void {
    const stream = this.#streams.get(link);
    if (stream) {
      this.#streams.delete(link);
      this.#clock.schedule(Math.max(this.#clock.now() + this.conditions.delayMs, stream.busyUntil), () => {
        stream.peer.fail(Object.assign(new Error('connection reset by peer'), { code: 'ECONNRESET' }));
      });
      return;
    }
    const key = keyOf(this.publicAddress(link));
    if (this.#links.get(key) === link) this.#links.delete(key);
    this.#public.delete(link);
  }
}

interface Path {
  readonly random: SeededRandom;
  conditions: LinkConditions | undefined;
  burstUntil: Instant;
}

interface Stream {
  readonly peer: SimLink;
  busyUntil: Instant;
}

/** Family, port and host; links have no part in it. */
function keyOf(address: LinkAddress): string {
  let key = `${address[ADDRESS_FAMILY]}/${address[ADDRESS_PORT]}`;
  for (let word = ADDRESS_HOST; word < ADDRESS_WORDS - 1; word += 1) key += `/${address[word].toString(16)}`;
  return key;
}
