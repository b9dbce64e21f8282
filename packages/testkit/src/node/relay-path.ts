import { type LinkConditions, PERFECT } from '../link-conditions.js';
import type { SeededRandom } from '../seeded-random.js';

/** A packet that a path lets through, and after how long. */
export interface Delivery {
  readonly packet: Uint8Array;
  readonly delayMs: number;
}

/** What a path did, in packets. */
export interface RelayCounters {
  carried: number;
  lost: number;
  duplicated: number;
  reordered: number;
  corrupted: number;
}

/** One direction of a relay: decides about each packet by its conditions and a seed. Time comes in from outside. */
export class RelayPath {
  readonly counters: RelayCounters = { carried: 0, lost: 0, duplicated: 0, reordered: 0, corrupted: 0 };
  readonly #conditions: LinkConditions;
  readonly #random: SeededRandom;
  #burstEnds = Number.NEGATIVE_INFINITY;

  constructor(conditions: Partial<LinkConditions>, random: SeededRandom) {
    this.#conditions = { ...PERFECT, delayMs: 0, ...conditions };
    this.#random = random;
  }

  /** What comes out of the path for a packet that enters it now, in milliseconds of any clock. `packet` is not changed. */
  take(nowMs: number, packet: Uint8Array): readonly Delivery[] {
    const { loss, burst, burstMs, duplicate, mtuBytes } = this.#conditions;
    const random = this.#random;
    // All dice are thrown for every packet, so that one condition does not shift the others.
    const lost = random.chance(loss);
    if (random.chance(burst)) this.#burstEnds = nowMs + burstMs;
    const doubled = random.chance(duplicate);
    const first = this.#deliver(packet);
    const second = this.#deliver(packet);
    if (lost || nowMs < this.#burstEnds || packet.length > mtuBytes) {
      this.counters.lost += 1;
      return [];
    }
    this.counters.carried += 1;
    if (!doubled) return [this.#count(first)];
    this.counters.duplicated += 1;
    return [this.#count(first), second];
  }

  #deliver(packet: Uint8Array): Delivery & { readonly late: boolean; readonly broken: boolean } {
    const { delayMs, jitterMs, reorder, reorderMs, corrupt } = this.#conditions;
    const random = this.#random;
    const jitter = random.fraction() * jitterMs;
    const late = random.chance(reorder);
    const broken = random.chance(corrupt);
    const bit = random.below(packet.length * 8);
    const copy = packet.slice();
    if (broken && packet.length > 0) copy[bit >> 3] ^= 1 << (bit & 7);
    return { packet: copy, delayMs: delayMs + jitter + (late ? reorderMs : 0), late, broken };
  }

  #count(delivery: Delivery & { readonly late: boolean; readonly broken: boolean }): Delivery {
    if (delivery.late) this.counters.reordered += 1;
    if (delivery.broken) this.counters.corrupted += 1;
    return delivery;
  }
}
