import { type Instant, NEVER } from './instant.js';

const ABSENT = -1;

/**
 * One deadline for each of `capacity` slots, and the earliest of them: a binary heap in typed arrays. Setting a deadline costs
 * O(log n), asking for the earliest O(1), a slot that waits nothing. It allocates only when it is made.
 */
export class DeadlineHeap {
  readonly #deadlines: Float64Array;
  readonly #slots: Int32Array;
  readonly #places: Int32Array;
  #count = 0;

  constructor(capacity: number) {
    this.#deadlines = new Float64Array(capacity);
    this.#slots = new Int32Array(capacity);
    this.#places = new Int32Array(capacity).fill(ABSENT);
  }

  /** The earliest deadline; NEVER when there is none. */
  get earliest(): Instant {
    return this.#count === 0 ? NEVER : this.#deadlines[this.#slots[0]];
  }

  /** The slot of the earliest deadline; -1 when there is none. */
  get first(): number {
    return this.#count === 0 ? ABSENT : this.#slots[0];
  }

  /** Replaces the deadline of a slot; NEVER removes it. */
  set(slot: number, deadline: Instant): void {
    let place = this.#places[slot];
    if (deadline === NEVER) {
      if (place !== ABSENT) this.#remove(place);
      return;
    }
    this.#deadlines[slot] = deadline;
    if (place === ABSENT) {
      place = this.#count;
      this.#count += 1;
      this.#put(place, slot);
    }
    this.#settle(place);
  }

  #remove(place: number): void {
    this.#places[this.#slots[place]] = ABSENT;
    this.#count -= 1;
    if (place === this.#count) return;
    this.#put(place, this.#slots[this.#count]);
    this.#settle(place);
  }

  /** Moves the slot at `place` to where its deadline belongs. */
  #settle(place: number): void {
    const slot = this.#slots[place];
    const deadline = this.#deadlines[slot];
    let at = place;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#deadlines[this.#slots[parent]] <= deadline) break;
      this.#put(at, this.#slots[parent]);
      at = parent;
    }
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.#count) break;
      if (child + 1 < this.#count && this.#deadlines[this.#slots[child + 1]] < this.#deadlines[this.#slots[child]]) {
        child += 1;
      }
      if (this.#deadlines[this.#slots[child]] >= deadline) break;
      this.#put(at, this.#slots[child]);
      at = child;
    }
    this.#put(at, slot);
  }

  #put(place: number, slot: number): void {
    this.#slots[place] = slot;
    this.#places[slot] = place;
  }
}
