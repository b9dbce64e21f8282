import { ADDRESS_WORDS, type LinkAddress, NO_SLOT } from '@openvpnd/memory';
import type { Random } from '@openvpnd/sans-io';
import { halfSipHash } from './half-siphash.js';

/**
 * From link addresses to slots: an open-addressing hash table on typed arrays, allocated once, no allocation for a look-up. Peers choose
 * their addresses, so the hash is keyed: nobody can aim at one bucket.
 */
export class AddressTable {
  /** Entries in use. */
  size = 0;
  readonly #maxEntries: number;
  readonly #mask: number;
  readonly #key0: number;
  readonly #key1: number;
  readonly #words: Uint32Array<ArrayBuffer>;
  readonly #slots: Uint32Array<ArrayBuffer>;

  /** @param maxEntries 1 or more; the table is at most half full */
  constructor(options: { readonly maxEntries: number; readonly random: Random }) {
    this.#maxEntries = options.maxEntries;
    let capacity = 8;
    while (capacity < options.maxEntries * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#words = new Uint32Array(capacity * ADDRESS_WORDS);
    this.#slots = new Uint32Array(capacity).fill(NO_SLOT);
    const key = new Uint8Array(8);
    options.random.fill(key);
    const view = new DataView(key.buffer);
    this.#key0 = view.getUint32(0);
    this.#key1 = view.getUint32(4);
  }

  /** The slot of the address whose words start at `from`; NO_SLOT when it is unknown. */
  lookup(words: Uint32Array, from: number): number {
    return this.#slots[this.#find(words, from)];
  }

  /**
   * Enters an address.
   *
   * @returns false when it stands there already, for whichever slot, or the table is full: nothing changed
   */
  add(address: LinkAddress, slot: number): boolean {
    if (this.size >= this.#maxEntries) return false;
    const at = this.#find(address, 0);
    if (this.#slots[at] !== NO_SLOT) return false;
    this.#words.set(address.subarray(0, ADDRESS_WORDS), at * ADDRESS_WORDS);
    this.#slots[at] = slot;
    this.size += 1;
    return true;
  }

  /** Takes an address out. Returns whether it was there. */
  remove(address: LinkAddress): boolean {
    let hole = this.#find(address, 0);
    if (this.#slots[hole] === NO_SLOT) return false;
    this.size -= 1;
    // Close the gap, so that no look-up has to step over the dead: whoever may stand in the hole moves into it.
    for (let at = (hole + 1) & this.#mask; this.#slots[at] !== NO_SLOT; at = (at + 1) & this.#mask) {
      const home = this.#hash(this.#words, at * ADDRESS_WORDS);
      if (((at - home) & this.#mask) < ((at - hole) & this.#mask)) continue;
      this.#words.copyWithin(hole * ADDRESS_WORDS, at * ADDRESS_WORDS, (at + 1) * ADDRESS_WORDS);
      this.#slots[hole] = this.#slots[at];
      hole = at;
    }
    this.#slots[hole] = NO_SLOT;
    return true;
  }

  /** Index of the address, or of the free place where it would stand. The table is never full: it ends. */
  #find(words: Uint32Array, from: number): number {
    let at = this.#hash(words, from);
    while (this.#slots[at] !== NO_SLOT && !sameWords(this.#words, at * ADDRESS_WORDS, words, from)) {
      at = (at + 1) & this.#mask;
    }
    return at;
  }

  #hash(words: Uint32Array, from: number): number {
    return halfSipHash(this.#key0, this.#key1, words, from, ADDRESS_WORDS) & this.#mask;
  }
}

/** Whether the addresses at two places are the same, link and all. */
export function sameWords(a: Uint32Array, fromA: number, b: Uint32Array, fromB: number): boolean {
  for (let i = 0; i < ADDRESS_WORDS; i += 1) {
    if (a[fromA + i] !== b[fromB + i]) return false;
  }
  return true;
}
