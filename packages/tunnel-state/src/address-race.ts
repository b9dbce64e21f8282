import { type Instant, NEVER } from '@openvpnd/sans-io';

/** What a race has to know of an address. */
export interface Racer {
  readonly family: 4 | 6;
}

/**
 * The addresses in the order of a race: families take turns, the first address stays first, and within a family the order stays. RFC 8305, section 4.
 */
export function interleaveFamilies<Address extends Racer>(addresses: readonly Address[]): readonly Address[] {
  const [first] = addresses;
  if (first === undefined) return addresses;
  const own = addresses.filter(({ family }) => family === first.family);
  const others = addresses.filter(({ family }) => family !== first.family);
  const order: Address[] = [];
  for (let index = 0; order.length < addresses.length; index += 1) {
    order.push(...own.slice(index, index + 1), ...others.slice(index, index + 1));
  }
  return order;
}

/**
 * Attempts to reach one server at several addresses, where the next family does not wait for the first to fail: the first address is tried at once, one of the other
 * family after a delay or as soon as the first has failed. No two addresses of one family are tried at a time: those take turns as they fail. Whose attempt succeeds
 * has won, which is for the caller to see.
 */
export class AddressRace<Address extends Racer> {
  readonly #delayMs: number;
  readonly #waiting: Address[];
  readonly #running: Set<Address> = new Set();
  #nextAt: Instant = NEVER;

  /**
   * @param options.addresses one or more, no two the same object, in their order of preference
   * @param options.delayMs between two begins; Infinity: only when an attempt has failed
   */
  constructor(options: { readonly addresses: readonly Address[]; readonly delayMs: number }) {
    if (options.addresses.length === 0) throw new RangeError('a race has one address or more');
    this.#delayMs = options.delayMs;
    this.#waiting = [...interleaveFamilies(options.addresses)];
  }

  /** Begins: the attempts to start now, which is one. Call once. */
  start(now: Instant): readonly Address[] {
    return this.#begin(now);
  }

  /** The instant of `nextTimeout` has come: the attempts to start now. Calling early does no harm. */
  handleTimeout(now: Instant): readonly Address[] {
    return now >= this.#nextAt ? this.#begin(now) : [];
  }

  /** An attempt has failed: those to start in its place. */
  handleFailure(now: Instant, address: Address): readonly Address[] {
    return this.#running.delete(address) ? this.#begin(now) : [];
  }

  /** When the next attempt is due; NEVER when none is. */
  nextTimeout(): Instant {
    return this.#nextAt;
  }

  /** What is being tried. */
  get running(): readonly Address[] {
    return [...this.#running];
  }

  /** Everything has been tried and has failed. */
  get lost(): boolean {
    return this.#running.size === 0 && this.#waiting.length === 0;
  }

  #begin(now: Instant): readonly Address[] {
    const next = this.#waiting.findIndex((address) => this.#isFree(address));
    const begun = next < 0 ? [] : this.#waiting.splice(next, 1);
    for (const address of begun) this.#running.add(address);
    const another = this.#waiting.some((address) => this.#isFree(address));
    this.#nextAt = another ? now + this.#delayMs : NEVER;
    return begun;
  }

  #isFree({ family }: Address): boolean {
    for (const one of this.#running) if (one.family === family) return false;
    return true;
  }
}
