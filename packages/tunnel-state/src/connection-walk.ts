import { type Instant, NEVER, type Random } from '@openvpnd/sans-io';

/** What the walk has to know of a way to the server; config's ConnectionEntry has it. */
export interface ConnectionProfile {
  /** `--connect-retry`: the pause between two attempts, in seconds. */
  readonly retrySeconds: number;
  /** `--connect-retry`'s second argument: the longest pause, in seconds. */
  readonly retryMaxSeconds: number;
}

/** What to do next. */
export type WalkAction<Entry, Address> =
  /** Find the addresses of this entry, and answer with `handleResolved`. */
  | { readonly type: 'resolve'; readonly entry: Entry; readonly index: number }
  /**
   * Try this address, and answer with `handleConnected` or `handleFailure`. `rivals` are those of the entry that come after it, for a race: whichever of them is tried too
   * is told with `handleTried`.
   */
  | {
      readonly type: 'connect';
      readonly entry: Entry;
      readonly index: number;
      readonly address: Address;
      readonly rivals: readonly Address[];
    }
  /** Nothing before `until`; then call `handleTimeout`. OpenVPN says `Restart pause, N second(s)`. */
  | { readonly type: 'wait'; readonly until: Instant; readonly seconds: number }
  /** `--connect-retry-max` attempts on every entry have failed. */
  | { readonly type: 'exhausted' }
  /** No entry can ever be used: each in turn was answered with `handleUnusable`. */
  | { readonly type: 'unusable' };

/** How to go on after a failure. */
export interface FailureAdvance {
  /**
   * `address` (default): the next address of the entry, or the next entry when it was the last. `remote`: the next entry at once. `no`: the same again. As in
   * `AUTH_FAILED,TEMP[advance …]` and RESTART's flag N.
   */
  readonly advance?: 'no' | 'address' | 'remote';
  /** The server asked for a pause of at least this many seconds, `AUTH_FAILED,TEMP[backoff N]`; the longest pause still holds. */
  readonly backoffSeconds?: number;
  /** Without a pause: the attempt itself has taken its time. */
  readonly immediately?: boolean;
}

export interface ConnectionWalkOptions<Entry extends ConnectionProfile> {
  /** The ways to the server, one or more, in their order. */
  readonly entries: readonly Entry[];
  /** `--connect-retry-max`; absent or Infinity: never give up. */
  readonly connectRetryMax?: number;
  /**
   * `--persist-remote-ip`: an entry is resolved once, and the address that has carried a tunnel is the first to be tried again. Default: false.
   */
  readonly keepAddresses?: boolean;
  /** `--remote-random`: the order is shuffled once, with this. Absent: as they stand. */
  readonly shuffle?: Random;
}

/** From this attempt on every entry the pause doubles. OpenVPN: socket_restart_pause(). */
const PATIENT_ATTEMPTS = 4;
/** Doublings beyond this number change nothing: the longest pause is below 2^16 seconds. */
const MAX_DOUBLINGS = 15;

/**
 * A client's walk over its ways to the server: each entry in turn, each of its addresses in the order of the resolver, with a pause between two attempts that
 * grows after five on every entry. OpenVPN: next_connection_entry(), socket_restart_pause().
 */
export class ConnectionWalk<Entry extends ConnectionProfile, Address> {
  readonly #entries: readonly Entry[];
  readonly #connectRetryMax: number;
  readonly #known: Map<Entry, readonly Address[]> | undefined;
  /** Entries begun since the last success: OpenVPN's unsuccessful_attempts. */
  #attempts = 0;
  #index = -1;
  /** Entries in a row that could not be used. */
  #skipped = 0;
  /** The present address has carried a tunnel, and is to be tried once more. */
  #proven = false;
  #state: WalkState<Address> = { name: 'idle' };

  constructor(options: ConnectionWalkOptions<Entry>) {
    if (options.entries.length === 0) throw new RangeError('a walk has one entry or more');
    this.#entries = options.shuffle ? shuffled(options.entries, options.shuffle) : [...options.entries];
    this.#known = options.keepAddresses ? new Map() : undefined;
    this.#connectRetryMax = options.connectRetryMax ?? Number.POSITIVE_INFINITY;
  }

  /** The entries in the order of the walk. */
  get entries(): readonly Entry[] {
    return this.#entries;
  }

  /** Entries tried since the last success. */
  get unsuccessfulAttempts(): number {
    return this.#attempts;
  }

  /** Begins with the first entry. */
  start(): WalkAction<Entry, Address> {
    if (this.#state.name !== 'idle') throw new Error('the walk has begun');
    return this.#nextEntry();
  }

  /** The addresses of the entry that was to be resolved, in their order; none is a failure. */
  handleResolved(now: Instant, addresses: readonly Address[]): WalkAction<Entry, Address> {
    if (this.#state.name !== 'resolving') throw new Error('nothing was to be resolved');
    this.#skipped = 0;
    if (addresses.length === 0) return this.handleFailure(now, { advance: 'remote' });
    this.#known?.set(this.#entries[this.#index], addresses);
    return this.#connect(addresses, 0);
  }

  /** The entry that was to be resolved can never be used: the next one, without a pause. */
  handleUnusable(): WalkAction<Entry, Address> {
    if (this.#state.name !== 'resolving') throw new Error('nothing was to be resolved');
    this.#skipped += 1;
    if (this.#skipped < this.#entries.length) return this.#nextEntry();
    this.#state = { name: 'exhausted' };
    return { type: 'unusable' };
  }

  /** A rival of the address is tried as well, or has won: after a failure the walk goes on behind it. */
  handleTried(address: Address): void {
    const state = this.#state;
    if (state.name !== 'connecting') throw new Error('nothing is tried');
    const next = state.addresses.indexOf(address);
    if (next < 0) throw new RangeError('not an address of this entry');
    this.#state = { ...state, next };
  }

  /** The tunnel is up: pauses are short again. */
  handleConnected(): void {
    this.#attempts = 0;
    this.#proven = this.#known !== undefined;
  }

  /** The attempt failed, or the tunnel ended and shall be made anew. OpenVPN: SIGUSR1. */
  handleFailure(now: Instant, how: FailureAdvance = {}): WalkAction<Entry, Address> {
    const state = this.#state;
    if (state.name !== 'resolving' && state.name !== 'connecting') throw new Error('nothing was tried');
    const seconds = how.immediately ? 0 : this.#pauseSeconds(how.backoffSeconds ?? 0);
    const until = now + seconds * 1000;
    const advance = how.advance ?? (this.#proven ? 'no' : 'address');
    this.#proven = false;
    const known = state.name === 'connecting' ? state.addresses : [];
    const next = state.name === 'connecting' ? state.next + (advance === 'address' ? 1 : 0) : 0;
    // A name that could not be resolved is asked for again when its entry stays.
    const entryIsDone = advance === 'remote' || (advance === 'address' && next >= known.length);
    this.#state = { name: 'waiting', until, entryIsDone, addresses: known, next };
    return { type: 'wait', until, seconds };
  }

  /** The pause is over. Undefined when it is not. */
  handleTimeout(now: Instant): WalkAction<Entry, Address> | undefined {
    const state = this.#state;
    if (state.name !== 'waiting' || now < state.until) return undefined;
    if (state.entryIsDone) return this.#nextEntry();
    return state.addresses.length === 0 ? this.#resolve() : this.#connect(state.addresses, state.next);
  }

  /** When the pause ends; NEVER while something is tried. */
  nextTimeout(): Instant {
    return this.#state.name === 'waiting' ? this.#state.until : NEVER;
  }

  #nextEntry(): WalkAction<Entry, Address> {
    if (this.#attempts >= this.#connectRetryMax * this.#entries.length) {
      this.#state = { name: 'exhausted' };
      return { type: 'exhausted' };
    }
    this.#attempts += 1;
    this.#index = (this.#index + 1) % this.#entries.length;
    return this.#resolve();
  }

  #resolve(): WalkAction<Entry, Address> {
    const known = this.#known?.get(this.#entries[this.#index]);
    if (known !== undefined) return this.#connect(known, 0);
    this.#state = { name: 'resolving' };
    return { type: 'resolve', entry: this.#entries[this.#index], index: this.#index };
  }

  #connect(addresses: readonly Address[], next: number): WalkAction<Entry, Address> {
    this.#state = { name: 'connecting', addresses, next };
    return {
      type: 'connect',
      entry: this.#entries[this.#index],
      index: this.#index,
      address: addresses[next],
      rivals: addresses.slice(next + 1),
    };
  }

  #pauseSeconds(backoffSeconds: number): number {
    const { retrySeconds, retryMaxSeconds } = this.#entries[this.#index];
    const doublings = Math.floor(this.#attempts / this.#entries.length) - PATIENT_ATTEMPTS;
    const grown = doublings > 0 ? Math.max(retrySeconds, 1) * 2 ** Math.min(doublings, MAX_DOUBLINGS) : retrySeconds;
    return Math.min(Math.max(grown, backoffSeconds), retryMaxSeconds);
  }
}

type WalkState<Address> =
  | { readonly name: 'idle' }
  | { readonly name: 'resolving' }
  | { readonly name: 'connecting'; readonly addresses: readonly Address[]; readonly next: number }
  | {
      readonly name: 'waiting';
      readonly until: Instant;
      readonly entryIsDone: boolean;
      readonly addresses: readonly Address[];
      readonly next: number;
    }
  | { readonly name: 'exhausted' };

/** Fisher and Yates. The remainder's bias is below 2^-24 for any list that a person writes. */
function shuffled<T>(list: readonly T[], random: Random): T[] {
  const result = [...list];
  const bytes = new Uint8Array(4);
  const view = new DataView(bytes.buffer);
  for (let last = result.length - 1; last > 0; last -= 1) {
    random.fill(bytes);
    const other = view.getUint32(0) % (last + 1);
    [result[last], result[other]] = [result[other], result[last]];
  }
  return result;
}
