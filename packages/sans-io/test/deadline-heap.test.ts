import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DeadlineHeap, NEVER } from '../src/index.js';

describe('deadline heap', () => {
  it('is empty at first, and again after its last deadline is removed', () => {
    const heap = new DeadlineHeap(4);
    expect([heap.earliest, heap.first]).toEqual([NEVER, -1]);
    heap.set(2, 10);
    expect([heap.earliest, heap.first]).toEqual([10, 2]);
    heap.set(2, NEVER);
    heap.set(2, NEVER);
    expect([heap.earliest, heap.first]).toEqual([NEVER, -1]);
  });

  it('knows the earliest after any sequence of changes', () => {
    const change = fc.tuple(fc.nat(19), fc.oneof(fc.nat(50), fc.constant(NEVER)));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
        const heap = new DeadlineHeap(20);
        const model = new Map<number, number>();
        for (const [slot, deadline] of changes) {
          heap.set(slot, deadline);
          if (deadline === NEVER) model.delete(slot);
          else model.set(slot, deadline);
          expect(heap.earliest).toBe(Math.min(NEVER, ...model.values()));
          if (model.size > 0) expect(model.get(heap.first)).toBe(heap.earliest);
        }
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});
