import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { REPLAY_ACCEPTED, REPLAY_SEEN, REPLAY_TOO_OLD, REPLAY_ZERO, ReplayWindow } from '../src/index.js';

interface IdVector {
  readonly id: string;
  readonly inputs: { readonly window?: number; readonly ids?: readonly (number | readonly [number, number])[] };
  readonly expected: { readonly accept?: readonly boolean[] };
}

const VECTORS: readonly IdVector[] = JSON.parse(
  readFileSync(new URL('./vectors/packet_id.json', import.meta.url), 'utf8'),
).vectors;

describe('replay window: known answers', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.inputs.ids !== undefined)) {
    it(id, () => {
      const window = new ReplayWindow({ packets: inputs.window ?? 64, seconds: 15 });
      const verdicts = inputs.ids?.map((entry) =>
        typeof entry === 'number' ? window.accept(0, entry) : window.accept(0, entry[0], entry[1]),
      );
      expect(verdicts?.map((verdict) => verdict === REPLAY_ACCEPTED)).toEqual(expected.accept);
    });
  }
});

describe('replay window', () => {
  it('says why', () => {
    const window = new ReplayWindow();
    expect(window.accept(0, 0)).toBe(REPLAY_ZERO);
    expect(window.accept(0, 100)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, 100)).toBe(REPLAY_SEEN);
    expect(window.accept(0, 36)).toBe(REPLAY_TOO_OLD);
    expect(window.accept(0, 37)).toBe(REPLAY_ACCEPTED);
    expect(window.highest).toBe(100);
  });

  it('an id that was the highest 15 s ago bars itself and all below, and nothing above', () => {
    const window = new ReplayWindow({ packets: 64, seconds: 15 });
    window.accept(0, 10);
    window.accept(16_000, 20);
    expect(window.accept(16_001, 9)).toBe(REPLAY_TOO_OLD);
    expect(window.accept(16_001, 11)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(16_001, 19)).toBe(REPLAY_ACCEPTED);
  });

  it('up to 15 s late is early enough', () => {
    const window = new ReplayWindow({ packets: 64, seconds: 15 });
    window.accept(0, 10);
    expect(window.accept(15_000, 9)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(15_001, 8)).toBe(REPLAY_TOO_OLD);
  });

  it('without a time limit a window stays open', () => {
    const window = new ReplayWindow({ packets: 64, seconds: 0 });
    window.accept(0, 10);
    expect(window.accept(1e9, 9)).toBe(REPLAY_ACCEPTED);
  });

  it('under steady traffic the barrier is between t and t + 5 s behind', () => {
    const window = new ReplayWindow({ packets: 65536, seconds: 15 });
    // Only even ids arrive, one every 10 ms; the odd ones come late.
    for (let index = 1; index <= 10_000; index++) window.accept(index * 10, index * 2);
    const now = 100_000;
    const highestAt = (time: number): number => (time / 10) * 2;
    expect(window.accept(now, highestAt(now - 15_000) + 1)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(now, highestAt(now - 20_000) - 1)).toBe(REPLAY_TOO_OLD);
  });

  it('a long id of an older series stays out, whatever its number', () => {
    const window = new ReplayWindow();
    window.accept(0, 5, 100);
    expect(window.accept(0, 6, 99)).toBe(REPLAY_TOO_OLD);
    expect(window.accept(0, 5, 101)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, 4, 101)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, 6, 100)).toBe(REPLAY_TOO_OLD);
  });

  it('in strict order a long series starts with 1', () => {
    const window = new ReplayWindow({ packets: 0, seconds: 15 });
    expect(window.accept(0, 2, 100)).toBe(REPLAY_TOO_OLD);
    expect(window.accept(0, 1, 100)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, 2, 100)).toBe(REPLAY_ACCEPTED);
  });

  it('counts 48 bits', () => {
    const window = new ReplayWindow();
    const top = 2 ** 48 - 1;
    expect(window.accept(0, top - 40)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, top)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, top - 40)).toBe(REPLAY_SEEN);
    expect(window.accept(0, top - 39)).toBe(REPLAY_ACCEPTED);
    expect(window.accept(0, top - 64)).toBe(REPLAY_TOO_OLD);
  });

  it('refuses sizes that the option does not allow', () => {
    expect(() => new ReplayWindow({ packets: 65537, seconds: 15 })).toThrow(RangeError);
    expect(() => new ReplayWindow({ packets: -1, seconds: 15 })).toThrow(RangeError);
    expect(() => new ReplayWindow({ packets: 64, seconds: 601 })).toThrow(RangeError);
    expect(() => new ReplayWindow({ packets: 65536, seconds: 600 })).not.toThrow();
  });

  it('does what a set of seen ids would do', () => {
    const size = fc.constantFrom(1, 31, 32, 33, 64, 100, 1000);
    const steps = fc.array(fc.oneof(fc.integer({ min: -120, max: 5 }), fc.integer({ min: 1, max: 3000 })), {
      maxLength: 300,
    });
    fc.assert(
      fc.property(size, steps, (packets, moves) => {
        const window = new ReplayWindow({ packets, seconds: 0 });
        const seen = new Set<number>();
        let highest = 0;
        for (const move of moves) {
          const id = Math.max(0, highest + move);
          const fresh = id > 0 && (id > highest || (highest - id < packets && !seen.has(id)));
          expect(window.accept(0, id) === REPLAY_ACCEPTED).toBe(fresh);
          if (fresh) seen.add(id);
          highest = Math.max(highest, id);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
