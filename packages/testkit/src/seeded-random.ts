import type { Random } from '@openvpnd/sans-io';

/**
 * A reproducible source of randomness: same seed, same sequence, on every platform. Small Fast Counter, 32 bits
 * (PractRand's sfc32), seeded through a mixer so that neighbouring seeds differ. Not for keys that matter.
 */
export class SeededRandom implements Random {
  readonly #seed: number;
  readonly #state: Uint32Array<ArrayBuffer> = new Uint32Array(4);

  /** @param seed an integer; its low 32 bits count */
  constructor(seed: number) {
    this.#seed = seed >>> 0;
    let mix = this.#seed;
    for (let i = 0; i < 3; i += 1) {
      mix = (mix + 0x9e3779b9) >>> 0;
      this.#state[i] = scramble(mix);
    }
    this.#state[3] = 1;
    for (let i = 0; i < 12; i += 1) this.uint32();
  }

  /** The next 32 bits: 0 … 2^32 - 1. */
  uint32(): number {
    const s = this.#state;
    const result = (s[0] + s[1] + s[3]) >>> 0;
    s[3] += 1;
    s[0] = s[1] ^ (s[1] >>> 9);
    s[1] = s[2] + (s[2] << 3);
    s[2] = ((s[2] << 21) | (s[2] >>> 11)) + result;
    return result;
  }

  /** A fraction: 0 ≤ x < 1. */
  fraction(): number {
    return this.uint32() / 0x1_0000_0000;
  }

  /** An integer: 0 ≤ n < `below`. */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  /** True with this probability: 0 never, 1 always. Takes from the sequence either way, so that a changed probability does not shift what follows. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  fill(target: Uint8Array): void {
    for (let i = 0; i < target.length; i += 1) target[i] = this.uint32() >>> 24;
  }

  /** An independent source that depends on this one's seed and the name alone, not on what was taken before. */
  fork(name: string): SeededRandom {
    let hash = this.#seed ^ 0x811c9dc5;
    for (let i = 0; i < name.length; i += 1) hash = scramble(hash ^ name.charCodeAt(i));
    return new SeededRandom(hash);
  }
}

/** The 32-bit finalizer of MurmurHash3. */
function scramble(value: number): number {
  let x = value;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}
