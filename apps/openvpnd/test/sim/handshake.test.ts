import { expect, test } from 'vitest';
import { LONG } from './sim-scale.js';
import { SimWorld } from './sim-world.js';

/** --hand-window's default. */
const HAND_WINDOW_MS = 60_000;

interface Outcome {
  /** From the start of the client until it has its addresses and keys to send with; Infinity when that took longer than the hand window. */
  readonly milliseconds: number;
  readonly attempts: number;
}

/** One client connects to a server of its own over a path that loses packets each way. */
function connect(seed: number, loss: number): Outcome {
  const conditions = { delayMs: 20, jitterMs: 20, loss, reorder: 0.1, reorderMs: 50, duplicate: 0.05 };
  const world = new SimWorld({ seed, conditions });
  world.server();
  const begin = world.clock.now();
  const client = world.client('client');
  const up = world.clock.advanceUntil(() => client.connected, begin + HAND_WINDOW_MS);
  return {
    milliseconds: up ? world.clock.now() - begin : Number.POSITIVE_INFINITY,
    attempts: client.signals.length + 1,
  };
}

function distribution(runs: number, loss: number) {
  const outcomes = Array.from({ length: runs }, (_, seed) => connect(seed + 1, loss));
  const sorted = outcomes.map(({ milliseconds }) => milliseconds).sort((a, b) => a - b);
  const quantile = (part: number): number => sorted[Math.max(0, Math.ceil(runs * part) - 1)];
  return {
    runs,
    loss,
    within: sorted.filter(Number.isFinite).length / runs,
    firstAttempt: outcomes.filter(({ attempts }) => attempts === 1).length / runs,
    median: quantile(0.5),
    p90: quantile(0.9),
    p99: quantile(0.99),
    worst: quantile(1),
  };
}

test(`${LONG ? 1000 : 200} handshakes with 30 % lost each way`, () => {
  const result = distribution(LONG ? 1000 : 200, 0.3);
  if (LONG) console.log(result);
  expect(result.within).toBeGreaterThanOrEqual(0.995);
  expect(result.median).toBeLessThanOrEqual(4000);
});

test('a clean path of 20 ms takes three round trips and the push', () => {
  const world = new SimWorld({ seed: 1, conditions: { delayMs: 20 } });
  world.server();
  const client = world.client('client');
  const begin = world.clock.now();
  world.until('connected', () => client.connected, 5);
  expect(world.clock.now() - begin).toBeLessThan(200);
});

test('with everything lost nobody connects', () => {
  const world = new SimWorld({ seed: 1, conditions: { loss: 1 } });
  world.server();
  const client = world.client('client');
  world.advanceSeconds(300);
  expect(client.connectedAt).toEqual([]);
  expect(client.signals.length).toBeGreaterThan(1);
});
