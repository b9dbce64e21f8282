import { ADDRESS_LINK, ADDRESS_WORDS, type LinkAddress, NO_SLOT } from '@openvpnd/memory';
import type { Random } from '@openvpnd/sans-io';
import { AddressTable, sameWords } from './address-table.js';

/**
 * Where the peers are: the address of each slot, and the slot of each address. Allocated once, nothing for a look-up. An address is {@link ADDRESS_WORDS} words,
 * of family 0 where there is none; all that is entered is copied.
 */
export class PeerAddresses {
  readonly #maxPeers: number;
  readonly #maxAlternatives: number;
  readonly #table: AddressTable;
  /** Address words of each slot. */
  readonly #words: Uint32Array<ArrayBuffer>;
  /** Where the peer of slot 0 may speak from beside its address. */
  readonly #alternatives: LinkAddress[] = [];

  /** @param options.maxAlternatives addresses that the peer of slot 0 may have beside its own */
  constructor(options: { readonly maxPeers: number; readonly maxAlternatives: number; readonly random: Random }) {
    const { maxPeers, maxAlternatives, random } = options;
    this.#maxPeers = maxPeers;
    this.#maxAlternatives = maxAlternatives;
    this.#table = new AddressTable({ maxEntries: maxPeers + maxAlternatives, random });
    this.#words = new Uint32Array(maxPeers * ADDRESS_WORDS);
  }

  /** Whether a slot has a peer; one that is out of range has none. */
  has(slot: number): boolean {
    return slot < this.#maxPeers && this.#words[slot * ADDRESS_WORDS] !== 0;
  }

  /** Whether there are addresses that are not their peer's own. */
  get hasAlternatives(): boolean {
    return this.#alternatives.length > 0;
  }

  /** The slot of the address whose words start at `from`, be it an alternative; NO_SLOT when it is nobody's. */
  lookup(words: Uint32Array, from: number): number {
    return this.#table.lookup(words, from);
  }

  /** Whether the words that start at `from` are the slot's own address. */
  isOwn(slot: number, words: Uint32Array, from: number): boolean {
    return sameWords(words, from, this.#words, slot * ADDRESS_WORDS);
  }

  /** The link that the slot's address is reached by. */
  linkOf(slot: number): number {
    return this.#words[slot * ADDRESS_WORDS + ADDRESS_LINK];
  }

  /** Writes the slot's address to where `to` is. */
  copyTo(words: Uint32Array, to: number, slot: number): void {
    const from = slot * ADDRESS_WORDS;
    for (let word = 0; word < ADDRESS_WORDS; word += 1) words[to + word] = this.#words[from + word];
  }

  /** Enters a peer. Returns false when the slot has one or the address belongs to one: nothing changed. */
  add(slot: number, address: LinkAddress): boolean {
    if (this.has(slot) || address[0] === 0 || !this.#table.add(address, slot)) return false;
    this.#own(slot).set(address.subarray(0, ADDRESS_WORDS));
    return true;
  }

  /** Another address of the peer of slot 0. Returns false when there are as many as may be, or it belongs to somebody: nothing changed. */
  addAlternative(address: LinkAddress): boolean {
    if (this.#alternatives.length >= this.#maxAlternatives || !this.#table.add(address, 0)) return false;
    this.#alternatives.push(address.slice(0, ADDRESS_WORDS));
    return true;
  }

  /** Forgets a peer, with its alternatives. Returns whether there was one. */
  remove(slot: number): boolean {
    if (!this.has(slot)) return false;
    for (const address of this.#alternatives.splice(0)) this.#table.remove(address);
    const own = this.#own(slot);
    this.#table.remove(own);
    own.fill(0);
    return true;
  }

  /**
   * Gives a peer another address; to one of its alternatives it moves in exchange for its own. Returns false when there is no such peer or another one has the
   * address: nothing changed.
   */
  move(slot: number, address: LinkAddress): boolean {
    if (!this.has(slot) || address[0] === 0) return false;
    const own = this.#own(slot);
    const holder = this.#table.lookup(address, 0);
    if (holder === slot) {
      const index = this.#alternatives.findIndex((one) => sameWords(one, 0, address, 0));
      if (index >= 0) this.#alternatives[index] = own.slice();
    } else if (holder === NO_SLOT) {
      this.#table.remove(own);
      this.#table.add(address, slot);
    } else {
      return false;
    }
    own.set(address.subarray(0, ADDRESS_WORDS));
    return true;
  }

  #own(slot: number): LinkAddress {
    return this.#words.subarray(slot * ADDRESS_WORDS, (slot + 1) * ADDRESS_WORDS);
  }
}
