import { NEVER } from '@openvpnd/sans-io';
import { VirtualClock } from '@openvpnd/testkit';
import { AddressRace, interleaveFamilies, type Racer } from '@openvpnd/tunnel-state';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

interface Place extends Racer {
  readonly name: string;
}

/** `6a` is the first address of IPv6. */
function places(...names: readonly string[]): readonly Place[] {
  return names.map((name) => ({ name, family: name.startsWith('6') ? 6 : 4 }));
}

function names(addresses: readonly Place[]): readonly string[] {
  return addresses.map(({ name }) => name);
}

/** What becomes of each attempt, so many milliseconds after its begin; one that is not named hears nothing. */
type Outcomes = Readonly<Record<string, { readonly fails?: number; readonly answers?: number }>>;

/** A race in virtual time, where it is known beforehand what becomes of each attempt and when. */
class RunningRace {
  readonly clock = new VirtualClock();
  readonly race: AddressRace<Place>;
  readonly begun: (readonly [at: number, name: string])[] = [];
  winner: { readonly name: string; readonly at: number } | undefined;
  readonly #fates: Outcomes;
  readonly #startedAt: number;

  constructor(addresses: readonly Place[], delayMs: number, fates: Outcomes = {}) {
    this.#fates = fates;
    this.#startedAt = this.clock.now();
    this.race = new AddressRace({ addresses, delayMs });
    this.#begin(this.race.start(this.clock.now()));
  }

  run(milliseconds: number): this {
    this.clock.advanceBy(milliseconds);
    return this;
  }

  #begin(addresses: readonly Place[]): void {
    const now = this.clock.now();
    for (const address of addresses) {
      this.begun.push([now - this.#startedAt, address.name]);
      const { fails, answers } = this.#fates[address.name] ?? {};
      if (fails !== undefined) {
        this.clock.schedule(now + fails, () => {
          if (this.winner === undefined) this.#begin(this.race.handleFailure(this.clock.now(), address));
        });
      }
      if (answers !== undefined) {
        this.clock.schedule(now + answers, () => {
          this.winner ??= { name: address.name, at: this.clock.now() - this.#startedAt };
        });
      }
    }
    const next = this.race.nextTimeout();
    if (next === NEVER) return;
    this.clock.schedule(next, () => {
      if (this.winner === undefined) this.#begin(this.race.handleTimeout(this.clock.now()));
    });
  }
}

describe('interleaveFamilies', () => {
  it('lets families take turns and keeps the order within each', () => {
    expect(names(interleaveFamilies(places('6a', '6b', '6c', '4a', '4b')))).toEqual(['6a', '4a', '6b', '4b', '6c']);
    expect(names(interleaveFamilies(places('4a', '6a', '6b')))).toEqual(['4a', '6a', '6b']);
    expect(names(interleaveFamilies(places('4a', '4b')))).toEqual(['4a', '4b']);
    expect(interleaveFamilies([])).toEqual([]);
  });

  it('loses none and keeps the first first', () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom<4 | 6>(4, 6), { minLength: 1, maxLength: 12 }), (families) => {
        const addresses = families.map((family, index) => ({ family, name: `${index}` }));
        const order = interleaveFamilies(addresses);
        expect(order[0]).toBe(addresses[0]);
        expect(new Set(order)).toEqual(new Set(addresses));
        for (const family of [4, 6]) {
          const own = (list: readonly Place[]) => list.filter((one) => one.family === family);
          expect(own(order)).toEqual(own(addresses));
        }
      }),
    );
  });
});

describe('AddressRace', () => {
  it.each([
    ['UDP', 2000],
    ['TCP', 250],
  ])('a dead IPv6 path costs the delay of %s and no more', (_, delayMs) => {
    const { begun, winner } = new RunningRace(places('6a', '4a'), delayMs, { '4a': { answers: 30 } }).run(120_000);
    expect(begun).toEqual([
      [0, '6a'],
      [delayMs, '4a'],
    ]);
    expect(winner).toEqual({ name: '4a', at: delayMs + 30 });
  });

  it('does not touch the other family while the first answers in time', () => {
    const { begun } = new RunningRace(places('6a', '4a'), 2000, { '6a': { answers: 1999 } }).run(10_000);
    expect(begun).toEqual([[0, '6a']]);
  });

  it('lets a slow first one win although the other was begun', () => {
    const { winner } = new RunningRace(places('6a', '4a'), 250, {
      '6a': { answers: 300 },
      '4a': { answers: 100 },
    }).run(1000);
    expect(winner).toEqual({ name: '6a', at: 300 });
  });

  it('begins the other at once when the first has failed', () => {
    const { begun } = new RunningRace(places('6a', '4a'), 250, { '6a': { fails: 5 } }).run(1000);
    expect(begun).toEqual([
      [0, '6a'],
      [5, '4a'],
    ]);
  });

  it('tries one address of each family at a time, the next when one has failed', () => {
    const { begun, race } = new RunningRace(places('6a', '6b', '4a', '4b'), 250, {
      '4a': { fails: 10 },
      '6a': { fails: 1000 },
      '6b': { fails: 1000 },
      '4b': { fails: 5000 },
    }).run(20_000);
    expect(begun).toEqual([
      [0, '6a'],
      [250, '4a'],
      [260, '4b'],
      [1000, '6b'],
    ]);
    expect(race.lost).toBe(true);
    expect(race.nextTimeout()).toBe(NEVER);
  });

  it('goes through one family alone in order, each after the failure of the one before', () => {
    const { begun, race } = new RunningRace(places('4a', '4b'), 250, { '4a': { fails: 3000 } }).run(60_000);
    expect(begun).toEqual([
      [0, '4a'],
      [3000, '4b'],
    ]);
    expect(race.lost).toBe(false);
    expect(names(race.running)).toEqual(['4b']);
  });

  it('waits for a failure when the race is off', () => {
    const { begun } = new RunningRace(places('6a', '4a'), NEVER, { '6a': { fails: 120_000 } }).run(120_000);
    expect(begun).toEqual([
      [0, '6a'],
      [120_000, '4a'],
    ]);
  });

  it('heeds no failure of what does not run', () => {
    const [first, second] = places('6a', '4a');
    const race = new AddressRace({ addresses: [first, second], delayMs: 250 });
    race.start(0);
    expect(race.handleFailure(1, second)).toEqual([]);
    expect(race.handleTimeout(249)).toEqual([]);
    expect(race.handleTimeout(250)).toEqual([second]);
    expect(race.handleFailure(300, first)).toEqual([]);
    expect(race.handleFailure(301, first)).toEqual([]);
    expect(race.lost).toBe(false);
    expect(() => new AddressRace({ addresses: [], delayMs: 1 })).toThrow(RangeError);
  });

  it('tries every address once and never two of a family at a time, whatever fails when', () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ family: fc.constantFrom<4 | 6>(4, 6), fails: fc.integer({ min: 0, max: 900 }) }), {
          minLength: 1,
          maxLength: 8,
        }),
        (list) => {
          const addresses = list.map(({ family }, index) => ({ family, name: `${index}` }));
          const fates = Object.fromEntries(list.map(({ fails }, index) => [`${index}`, { fails }]));
          const { begun, race } = new RunningRace(addresses, 250, fates).run(20_000);
          expect(new Set(begun.map(([, name]) => name)).size).toBe(list.length);
          expect(begun).toHaveLength(list.length);
          expect(race.lost).toBe(true);
          for (const family of [4, 6]) {
            const spans = begun
              .filter(([, name]) => list[Number(name)].family === family)
              .map(([at, name]) => [at, at + list[Number(name)].fails] as const);
            for (let index = 1; index < spans.length; index += 1) {
              expect(spans[index][0]).toBeGreaterThanOrEqual(spans[index - 1][1]);
            }
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});
