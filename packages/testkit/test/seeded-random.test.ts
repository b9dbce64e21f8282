import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';

describe('SeededRandom', () => {
  it('repeats itself for the same seed, and not for its neighbour', () => {
    const take = (seed: number) => {
      const bytes = new Uint8Array(64);
      new SeededRandom(seed).fill(bytes);
      return bytes;
    };
    expect(take(1)).toEqual(take(1));
    expect(take(1)).not.toEqual(take(2));
  });

  it('is the same sequence for ever', () => {
    const random = new SeededRandom(42);
    expect([random.uint32(), random.uint32(), random.uint32()]).toMatchInlineSnapshot(`
      [
        2476999517,
        2284424721,
        914527439,
      ]
    `);
  });

  it('forks by name, whatever was taken before', () => {
    const a = new SeededRandom(7);
    const b = new SeededRandom(7);
    b.uint32();
    expect(a.fork('x').uint32()).toBe(b.fork('x').uint32());
    expect(a.fork('x').uint32()).not.toBe(a.fork('y').uint32());
  });

  it('spreads evenly enough', () => {
    const random = new SeededRandom(3);
    const counts = new Array<number>(16).fill(0);
    let heads = 0;
    for (let i = 0; i < 16_000; i += 1) {
      counts[random.below(16)] += 1;
      if (random.chance(0.3)) heads += 1;
    }
    for (const count of counts) expect(Math.abs(count - 1000)).toBeLessThan(150);
    expect(Math.abs(heads - 4800)).toBeLessThan(250);
    expect(random.chance(0)).toBe(false);
    expect(random.chance(1)).toBe(true);
  });
});
