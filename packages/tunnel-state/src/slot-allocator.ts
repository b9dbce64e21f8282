import type { Instant } from '@openvpnd/sans-io';

/**
 * How long a slot rests before it is given out again. Its number is the peer id in packets: the former owner may go on sending until its own ping-restart (120 s by
 * default) tells it better, and those packets would only cost the new owner's keys a failed check each.
 */
export const SLOT_REST_MS = 120_000;

/** Gives out slot numbers: the lowest that is free and rested; when none is, the one that has rested longest. */
export class SlotAllocator {
  readonly #restMs: number;
  /** Free and rested slots, a binary heap with the lowest first. */
  readonly #free: number[];
  /** Released slots in the order of their release; the rest of one begins when the next slot is taken after its release. Each is in it at most once. */
  #resting: { readonly slot: number; since: Instant | undefined }[] = [];
  #restingFrom = 0;
  /** From here on the rest has not begun. */
  #unstampedFrom = 0;

  constructor(options: { readonly slots: number; readonly restMs?: number }) {
    this.#restMs = options.restMs ?? SLOT_REST_MS;
    this.#free = Array.from({ length: options.slots }, (_, slot) => slot);
  }

  /** Slots that can be had. */
  get available(): number {
    return this.#free.length + this.#resting.length - this.#restingFrom;
  }

  /** Takes a slot; undefined when all are taken. */
  take(now: Instant): number | undefined {
    for (; this.#unstampedFrom < this.#resting.length; this.#unstampedFrom += 1) {
      this.#resting[this.#unstampedFrom].since = now;
    }
    for (let first = this.#resting[this.#restingFrom]; first !== undefined; first = this.#resting[this.#restingFrom]) {
      if (first.since === undefined || first.since + this.#restMs > now) break;
      this.#pushFree(this.#shiftResting());
    }
    if (this.#free.length > 0) return this.#popFree();
    return this.#restingFrom < this.#resting.length ? this.#shiftResting() : undefined;
  }

  /** Gives a slot back that was taken. */
  release(slot: number): void {
    this.#resting.push({ slot, since: undefined });
  }

  #shiftResting(): number {
    const { slot } = this.#resting[this.#restingFrom];
    this.#restingFrom += 1;
    // Drop the consumed head now and then, instead of moving the whole queue for each slot.
    if (this.#restingFrom * 2 >= this.#resting.length) {
      this.#resting = this.#resting.slice(this.#restingFrom);
      this.#unstampedFrom -= this.#restingFrom;
      this.#restingFrom = 0;
    }
    return slot;
  }

  #pushFree(slot: number): void {
    const heap = this.#free;
    let at = heap.length;
    heap.push(slot);
    while (at > 0) {
      const above = (at - 1) >> 1;
      if (heap[above] <= slot) break;
      heap[at] = heap[above];
      at = above;
    }
    heap[at] = slot;
  }

  #popFree(): number {
    const heap = this.#free;
    const lowest = heap[0];
    const last = heap.pop() as number;
    if (heap.length === 0) return lowest;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && heap[child + 1] < heap[child]) child += 1;
      if (heap[child] >= last) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return lowest;
  }
}
