import { SlotAllocator } from '@openvpnd/tunnel-state';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('SlotAllocator', () => {
  it('gives the lowest free slot', () => {
    const slots = new SlotAllocator({ slots: 4, restMs: 0 });
    expect([0, 1, 2, 3, 4].map((now) => slots.take(now))).toEqual([0, 1, 2, 3, undefined]);
    slots.release(2);
    slots.release(0);
    slots.release(3);
    expect([slots.take(10), slots.take(10), slots.take(10), slots.take(10)]).toEqual([0, 2, 3, undefined]);
  });

  it('lets a slot rest', () => {
    const slots = new SlotAllocator({ slots: 4, restMs: 1000 });
    expect(slots.take(0)).toBe(0);
    slots.release(0);
    expect(slots.take(0)).toBe(1);
    expect(slots.take(999)).toBe(2);
    expect(slots.take(1000)).toBe(0);
  });

  it('breaks the rest when no other slot is left, of the one that rests longest', () => {
    const slots = new SlotAllocator({ slots: 3, restMs: 1000 });
    for (let i = 0; i < 3; i += 1) slots.take(0);
    slots.release(1);
    slots.release(0);
    expect(slots.available).toBe(2);
    expect([slots.take(1), slots.take(1), slots.take(1)]).toEqual([1, 0, undefined]);
  });

  it('never gives a slot twice, nor keeps one', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.nat(20), fc.nat(50)), { maxLength: 200 }), (operations) => {
        const slots = new SlotAllocator({ slots: 6, restMs: 60 });
        const taken: number[] = [];
        let now = 0;
        for (const [take, which, later] of operations) {
          now += later;
          if (take) {
            const slot = slots.take(now);
            if (slot === undefined) expect(taken).toHaveLength(6);
            else {
              expect(taken).not.toContain(slot);
              taken.push(slot);
            }
          } else if (taken.length > 0) {
            slots.release(taken.splice(which % taken.length, 1)[0]);
          }
          expect(slots.available).toBe(6 - taken.length);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
