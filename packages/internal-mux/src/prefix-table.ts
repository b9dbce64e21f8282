import { NO_SLOT } from '@openvpnd/memory';
import type { Prefix } from './inner-address.js';

const FREE = 0xff;
const FIRST_CAPACITY = 64;

/**
 * From networks to slots by the longest matching prefix: a hash table on typed arrays that is asked once for each prefix length in use, longest
 * first. A look-up therefore costs as many steps as there are different lengths, however many routes; it allocates nothing.
 */
export class PrefixTable {
  /** Prefixes in the table. */
  size = 0;
  readonly #words: number;
  readonly #bits: number;
  /** The mask of each length, `#words` words each. */
  readonly #masks: Uint32Array<ArrayBuffer>;
  /** Prefixes of each length. */
  readonly #counts: Uint32Array<ArrayBuffer>;
  /** The lengths in use, longest first. */
  #lengths: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #capacity = FIRST_CAPACITY;
  #keys: Uint32Array<ArrayBuffer>;
  #keyLengths: Uint8Array<ArrayBuffer>;
  #slots: Uint32Array<ArrayBuffer>;
  /** The address that is looked for, and as much of it as the length in turn keeps. */
  readonly #wanted: Uint32Array<ArrayBuffer>;
  readonly #masked: Uint32Array<ArrayBuffer>;
  /** The answer to the last look-up: packets come in runs. */
  readonly #last: Uint32Array<ArrayBuffer>;
  #lastSlot = NO_SLOT;
  #lastIsValid = false;

  /** @param family decides the size of its addresses: 4 bytes, or 16 */
  constructor(family: 4 | 6) {
    this.#words = family === 4 ? 1 : 4;
    this.#bits = this.#words * 32;
    this.#masks = new Uint32Array((this.#bits + 1) * this.#words);
    for (let length = 0; length <= this.#bits; length += 1) {
      for (let word = 0; word < this.#words; word += 1) {
        const ones = Math.min(32, Math.max(0, length - word * 32));
        this.#masks[length * this.#words + word] = ones === 0 ? 0 : 0xffffffff << (32 - ones);
      }
    }
    this.#counts = new Uint32Array(this.#bits + 1);
    this.#keys = new Uint32Array(this.#capacity * this.#words);
    this.#keyLengths = new Uint8Array(this.#capacity).fill(FREE);
    this.#slots = new Uint32Array(this.#capacity);
    this.#wanted = new Uint32Array(this.#words);
    this.#masked = new Uint32Array(this.#words);
    this.#last = new Uint32Array(this.#words);
  }

  /** The slot of the longest prefix that holds the address at `at`; NO_SLOT when none does. */
  lookup(view: DataView, at: number): number {
    let same = this.#lastIsValid;
    for (let word = 0; word < this.#words; word += 1) {
      const value = view.getUint32(at + word * 4);
      this.#wanted[word] = value;
      same &&= this.#last[word] === value;
    }
    if (same) return this.#lastSlot;
    let slot = NO_SLOT;
    for (let index = 0; index < this.#lengths.length; index += 1) {
      const entry = this.#find(this.#lengths[index]);
      if (this.#keyLengths[entry] === FREE) continue;
      slot = this.#slots[entry];
      break;
    }
    this.#last.set(this.#wanted);
    this.#lastSlot = slot;
    this.#lastIsValid = true;
    return slot;
  }

  /** How many places a look-up of this address visits, which is what it costs. For tests: `lookup` itself counts nothing. */
  stepsOf(address: Uint8Array): number {
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    for (let word = 0; word < this.#words; word += 1) this.#wanted[word] = view.getUint32(word * 4);
    let steps = 0;
    for (const length of this.#lengths) {
      const entry = this.#find(length);
      let hash = length + 1;
      for (const value of this.#masked) hash = mix(hash, value);
      steps += ((entry - finish(hash)) & (this.#capacity - 1)) + 1;
      if (this.#keyLengths[entry] !== FREE) break;
    }
    return steps;
  }

  /** The slot of exactly this prefix; NO_SLOT when it is not there. */
  get(prefix: Prefix): number {
    const entry = this.#findPrefix(prefix);
    return this.#keyLengths[entry] === FREE ? NO_SLOT : this.#slots[entry];
  }

  /** Enters a prefix, or gives it another slot. */
  set(prefix: Prefix, slot: number): void {
    this.#lastIsValid = false;
    let entry = this.#findPrefix(prefix);
    if (this.#keyLengths[entry] === FREE) {
      // At most half full, so that probing stays short.
      if ((this.size + 1) * 2 > this.#capacity) {
        this.#grow();
        entry = this.#findPrefix(prefix);
      }
      this.#keys.set(this.#masked, entry * this.#words);
      this.#keyLengths[entry] = prefix.length;
      this.size += 1;
      this.#counts[prefix.length] += 1;
      if (this.#counts[prefix.length] === 1) this.#listLengths();
    }
    this.#slots[entry] = slot;
  }

  /** Takes a prefix out. Returns whether it was there. */
  delete(prefix: Prefix): boolean {
    let hole = this.#findPrefix(prefix);
    if (this.#keyLengths[hole] === FREE) return false;
    this.#lastIsValid = false;
    this.size -= 1;
    this.#counts[prefix.length] -= 1;
    if (this.#counts[prefix.length] === 0) this.#listLengths();
    const mask = this.#capacity - 1;
    // Close the gap: whoever may stand in the hole moves into it.
    for (let at = (hole + 1) & mask; this.#keyLengths[at] !== FREE; at = (at + 1) & mask) {
      const home = this.#homeOf(at);
      if (((at - home) & mask) < ((at - hole) & mask)) continue;
      this.#keys.copyWithin(hole * this.#words, at * this.#words, (at + 1) * this.#words);
      this.#keyLengths[hole] = this.#keyLengths[at];
      this.#slots[hole] = this.#slots[at];
      hole = at;
    }
    this.#keyLengths[hole] = FREE;
    return true;
  }

  #findPrefix(prefix: Prefix): number {
    if (prefix.address.length !== this.#words * 4) throw new RangeError('a prefix of the other family');
    if (!Number.isInteger(prefix.length) || prefix.length < 0 || prefix.length > this.#bits) {
      throw new RangeError(`no such prefix length: ${prefix.length}`);
    }
    const view = new DataView(prefix.address.buffer, prefix.address.byteOffset, prefix.address.length);
    for (let word = 0; word < this.#words; word += 1) this.#wanted[word] = view.getUint32(word * 4);
    return this.#find(prefix.length);
  }

  /** Index of the prefix of this length that holds the wanted address, or of the free place where it would stand. */
  #find(length: number): number {
    const words = this.#words;
    let hash = length + 1;
    for (let word = 0; word < words; word += 1) {
      const value = this.#wanted[word] & this.#masks[length * words + word];
      this.#masked[word] = value;
      hash = mix(hash, value);
    }
    const mask = this.#capacity - 1;
    let at = finish(hash) & mask;
    for (;;) {
      const found = this.#keyLengths[at];
      if (found === FREE) return at;
      if (found === length) {
        let same = true;
        for (let word = 0; word < words; word += 1) same &&= this.#keys[at * words + word] === this.#masked[word];
        if (same) return at;
      }
      at = (at + 1) & mask;
    }
  }

  #homeOf(entry: number): number {
    let hash = this.#keyLengths[entry] + 1;
    for (let word = 0; word < this.#words; word += 1) hash = mix(hash, this.#keys[entry * this.#words + word]);
    return finish(hash) & (this.#capacity - 1);
  }

  #grow(): void {
    const [keys, keyLengths, slots] = [this.#keys, this.#keyLengths, this.#slots];
    const old = this.#capacity;
    this.#capacity = old * 2;
    this.#keys = new Uint32Array(this.#capacity * this.#words);
    this.#keyLengths = new Uint8Array(this.#capacity).fill(FREE);
    this.#slots = new Uint32Array(this.#capacity);
    for (let entry = 0; entry < old; entry += 1) {
      if (keyLengths[entry] === FREE) continue;
      for (let word = 0; word < this.#words; word += 1) this.#wanted[word] = keys[entry * this.#words + word];
      const at = this.#find(keyLengths[entry]);
      this.#keys.set(this.#masked, at * this.#words);
      this.#keyLengths[at] = keyLengths[entry];
      this.#slots[at] = slots[entry];
    }
  }

  #listLengths(): void {
    const lengths: number[] = [];
    for (let length = this.#bits; length >= 0; length -= 1) if (this.#counts[length] > 0) lengths.push(length);
    this.#lengths = Uint8Array.from(lengths);
  }
}

// Routes come from the administrator, not from peers: a plain hash is enough, and cheap.
function mix(hash: number, value: number): number {
  const mixed = Math.imul(hash ^ value, 0x9e3779b1);
  return mixed ^ (mixed >>> 15);
}

function finish(hash: number): number {
  const mixed = Math.imul(hash, 0x85ebca6b);
  return (mixed ^ (mixed >>> 13)) >>> 0;
}
