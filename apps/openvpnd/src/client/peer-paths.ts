import type { ExternalMux } from '@openvpnd/external-mux';
import { ADDRESS_FAMILY, ADDRESS_LINK, type LinkAddress } from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';
import { AddressRace, type Racer } from '@openvpnd/tunnel-state';

/** The one peer of a client. */
const SLOT = 0;

export interface PeerPathsOptions {
  readonly mux: ExternalMux;
  /**
   * Where the peer may be, each through a link of its own: none (whoever speaks first authentically is the peer), one, or one of each address family, the preferred one
   * first.
   */
  readonly addresses: readonly LinkAddress[];
  /** How long the second address waits for an answer from the first. */
  readonly raceDelayMs: number;
  /**
   * Point to point: what it says of its address, both ends may say differently. So the address that lost stays open, and one end follows the other when that
   * speaks from there. `lead`: this end stays where it first heard its peer; `follow`: it goes where its peer is.
   */
  readonly afterwards: 'close' | 'lead' | 'follow';
}

/** An address in a race. */
interface Path extends Racer {
  readonly address: LinkAddress;
}

/** What follows from a packet of the peer. */
export interface PathsHeard {
  /** It is the first one: from now on it is known where the peer is. */
  readonly settled: boolean;
  /** Links that are of no use any more. */
  readonly closing: readonly number[];
}

const NOTHING_NEW: PathsHeard = { settled: false, closing: [] };

/**
 * Where the peer of a client is: known from the start, found by a race between two address families, or shown by the first authentic packet. Tells the external
 * multiplexer about it.
 */
export class PeerPaths {
  readonly #options: PeerPathsOptions;
  readonly #mux: ExternalMux;
  readonly #race: AddressRace<Path> | undefined;
  /** Those that packets go to until the peer has answered. */
  readonly #begun: LinkAddress[] = [];
  #settled = false;

  constructor(options: PeerPathsOptions) {
    this.#options = options;
    this.#mux = options.mux;
    const { addresses, raceDelayMs } = options;
    const paths = addresses.map((address): Path => ({ address, family: address[ADDRESS_FAMILY] === 6 ? 6 : 4 }));
    this.#race = paths.length === 0 ? undefined : new AddressRace({ addresses: paths, delayMs: raceDelayMs });
  }

  /** Begins with the first address, or to wait. Call once. */
  start(now: Instant): void {
    const { addresses, afterwards } = this.#options;
    const [first, second] = addresses;
    if (first === undefined) {
      this.#mux.awaitPeer();
      return;
    }
    this.#mux.addPeer(SLOT, first);
    if (second !== undefined && afterwards !== 'close') this.#mux.addAlternative(second);
    this.#begin(this.#race?.start(now));
  }

  /** Whether nobody knows who the peer is. */
  get waiting(): boolean {
    return this.#race === undefined && !this.#settled;
  }

  /** Where control packets go: several addresses while it is not known which of them works, none while there is no peer. */
  targets(): readonly LinkAddress[] {
    if (!this.#settled) return this.#begun;
    const address = this.#mux.addressOf(SLOT);
    return address === undefined ? [] : [address];
  }

  /** The address that packets go to, or that was tried last; undefined while there is none. A copy. */
  get current(): LinkAddress | undefined {
    return this.#settled ? this.#mux.addressOf(SLOT) : this.#begun.at(-1)?.slice();
  }

  /** The instant of `nextTimeout` has come: the addresses that are tried from now on. */
  handleTimeout(now: Instant): readonly LinkAddress[] {
    return this.#settled ? [] : this.#begin(this.#race?.handleTimeout(now));
  }

  nextTimeout(): Instant {
    return this.#settled ? NEVER : (this.#race?.nextTimeout() ?? NEVER);
  }

  /** An authentic control packet of the peer came from there. */
  handleHeard(source: LinkAddress): PathsHeard {
    const { addresses, afterwards } = this.#options;
    if (this.#settled) {
      if (afterwards === 'follow' && this.#isElsewhere(source)) this.#mux.commitFloat(SLOT, source);
      return NOTHING_NEW;
    }
    this.#settled = true;
    if (addresses.length === 0) {
      this.#mux.addPeer(SLOT, source);
      return { settled: true, closing: [] };
    }
    // With --float it may answer from anywhere: then the link tells which of its addresses was reached.
    const winner = addresses.find((address) => address[ADDRESS_LINK] === source[ADDRESS_LINK]) ?? addresses[0];
    const losers = addresses.filter((address) => address !== winner);
    if (afterwards !== 'close') {
      if (winner !== addresses[0]) this.#mux.commitFloat(SLOT, winner);
      return { settled: true, closing: [] };
    }
    this.#mux.removePeer(SLOT);
    this.#mux.addPeer(SLOT, winner);
    return { settled: true, closing: losers.map((address) => address[ADDRESS_LINK]) };
  }

  /** Authentic data of the peer came from there, where the multiplexer did not expect it. Answers whether it is expected there from now on. */
  handleFloated(address: LinkAddress): boolean {
    if (this.#options.afterwards === 'lead' && this.#isElsewhere(address)) return false;
    this.#settled = true;
    return this.#mux.commitFloat(SLOT, address);
  }

  /** On the link of the other family. */
  #isElsewhere(address: LinkAddress): boolean {
    const own = this.#mux.addressOf(SLOT);
    return own !== undefined && own[ADDRESS_LINK] !== address[ADDRESS_LINK];
  }

  #begin(paths: readonly Path[] = []): readonly LinkAddress[] {
    const addresses = paths.map(({ address }) => address);
    for (const address of addresses) {
      this.#begun.push(address);
      if (this.#options.afterwards === 'close' && this.#begun.length > 1) this.#mux.addAlternative(address);
    }
    return addresses;
  }
}
