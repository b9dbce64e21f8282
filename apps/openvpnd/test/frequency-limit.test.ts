import { expect, test } from 'vitest';
import { FrequencyLimit } from '../src/server/frequency-limit.js';

test('so many in a period, and as many in the next', () => {
  const limit = new FrequencyLimit({ count: 2, seconds: 10 });
  expect([0, 1000, 9999].map((now) => limit.take(now))).toEqual([true, true, false]);
  expect([10_000, 10_001, 19_999].map((now) => limit.take(now))).toEqual([true, true, false]);
  expect(limit.take(60_000)).toBe(true);
});
