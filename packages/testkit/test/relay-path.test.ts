import { describe, expect, test } from 'vitest';
import { RelayPath } from '../src/node/index.js';
import { SeededRandom } from '../src/seeded-random.js';

const PACKET = new Uint8Array(100).fill(7);

function run(conditions: ConstructorParameters<typeof RelayPath>[0], seed = 1, packets = 10_000) {
  const path = new RelayPath(conditions, new SeededRandom(seed));
  const out = [];
  for (let i = 0; i < packets; i += 1) out.push(path.take(i, PACKET));
  return { out, counters: path.counters };
}

describe('one direction of a relay', () => {
  test('without conditions passes every packet on at once and unchanged', () => {
    const { out } = run({});
    expect(out.every((some) => some.length === 1 && some[0]?.delayMs === 0)).toBe(true);
    expect(out[0]?.[0]?.packet).toEqual(PACKET);
  });

  test('keeps to its probabilities', () => {
    const { counters } = run({ loss: 0.3, duplicate: 0.1, corrupt: 0.05, reorder: 0.2, reorderMs: 50 });
    expect(counters.lost / 10_000).toBeCloseTo(0.3, 1);
    expect(counters.duplicated / counters.carried).toBeCloseTo(0.1, 1);
    expect(counters.corrupted / counters.carried).toBeCloseTo(0.05, 1);
    expect(counters.reordered / counters.carried).toBeCloseTo(0.2, 1);
  });

  test('does the same again with the same seed, and something else with another', () => {
    const conditions = { loss: 0.3, duplicate: 0.1, corrupt: 0.1, jitterMs: 10 };
    expect(run(conditions, 5, 200).out).toEqual(run(conditions, 5, 200).out);
    expect(run(conditions, 5, 200).out).not.toEqual(run(conditions, 6, 200).out);
  });

  test('a burst takes everything for its time', () => {
    const { out } = run({ burst: 1, burstMs: 1 }, 1, 10);
    expect(out.every((some) => some.length === 0)).toBe(true);
  });

  test('corruption flips one bit of the copy alone', () => {
    const { out } = run({ corrupt: 1 }, 1, 1);
    const packet = out[0]?.[0]?.packet ?? PACKET;
    const different = packet.filter((byte, index) => byte !== PACKET[index]);
    expect(different.length).toBe(1);
    expect(PACKET.every((byte) => byte === 7)).toBe(true);
  });
});
