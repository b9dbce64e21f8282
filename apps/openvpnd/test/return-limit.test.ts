import { describe, expect, test } from 'vitest';
import { ReturnLimit } from '../src/server/return-limit.js';

function id(number: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, number + 1);
  return bytes;
}

describe('resets in the name of a client', () => {
  test('are answered at once while they are few, each again as often as an honest client repeats it', () => {
    const limit = new ReturnLimit();
    expect([0, 500, 1500, 3500, 7500].map((now) => limit.admits(now, 1, id(0)))).toEqual([
      true,
      true,
      true,
      true,
      true,
    ]);
    // Too often for an honest one.
    expect([10, 20, 30].map((now) => limit.admits(now, 1, id(1)))).toEqual([true, false, false]);
  });

  test('are not answered in a flood, but for the one that is repeated', () => {
    const limit = new ReturnLimit();
    let answers = 0;
    let honest = 0;
    for (let now = 0; now < 30_000; now += 1) {
      if (limit.admits(now, 1, id(now))) answers += 1;
      if ((now === 10_000 || now === 12_000) && limit.admits(now, 1, id(0xffff))) honest += 1;
    }
    expect([answers, honest]).toEqual([3, 1]);
    // Of another client nothing has come.
    expect(limit.admits(30_000, 2, id(1))).toBe(true);
    // When it is over, all is as before.
    expect(limit.admits(40_000, 1, id(0xeeee))).toBe(true);
  });

  test('that are the same for ever are answered ever more seldom', () => {
    const limit = new ReturnLimit();
    let answers = 0;
    for (let now = 0; now < 60_000; now += 1) if (limit.admits(now, 1, id(7))) answers += 1;
    expect(answers).toBeLessThan(11);
  });
});
