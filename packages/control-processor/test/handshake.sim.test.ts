import { expect, test } from 'vitest';
import { World } from './two-peers.js';

/** Time until both can send data, from the first reset to the keys after the push; the hand window when it does not come. */
function connectTimes(runs: number, loss: number): number[] {
  const conditions = { delayMs: 20, jitterMs: 20, loss, duplicate: 0.05, reorder: 0.1, reorderMs: 50 };
  return Array.from({ length: runs }, (_, seed) => {
    const world = new World({ seed: seed + 1, conditions });
    const begin = world.clock.now();
    world.start();
    world.clock.advanceUntil(() => world.connected, begin + 60_000);
    return world.clock.now() - begin;
  }).sort((a, b) => a - b);
}

const quantile = (sorted: readonly number[], part: number): number => sorted[Math.ceil(sorted.length * part) - 1]!;

test('a thousand connections with 30 % lost each way', () => {
  const sorted = connectTimes(1000, 0.3);
  expect(quantile(sorted, 0.995)).toBeLessThan(60_000);
  expect(quantile(sorted, 0.99)).toBeLessThan(20_000);
  expect(quantile(sorted, 0.5)).toBeLessThan(4000);
});

test('with 10 % lost all come through within seconds', () => {
  const sorted = connectTimes(200, 0.1);
  expect(quantile(sorted, 1)).toBeLessThan(60_000);
  expect(quantile(sorted, 0.99)).toBeLessThan(6000);
});

test('with 50 % lost most come through', () => {
  expect(quantile(connectTimes(200, 0.5), 0.9)).toBeLessThan(60_000);
});
