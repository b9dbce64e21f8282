import { expect, test } from 'vitest';
import { OneAtATime } from '../src/host/one-at-a-time.js';

/** Changes that are over when they are told to. */
class Changes {
  readonly begun: string[] = [];
  readonly #ends: (() => void)[] = [];

  make(name: string): () => Promise<void> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve) => this.#ends.push(resolve));
    };
  }

  async settle(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
  }

  async endOne(): Promise<void> {
    this.#ends.shift()?.();
    await this.settle();
  }
}

test('changes begin in their order, each when the one before is over, or has failed', async () => {
  const row = new OneAtATime();
  const changes = new Changes();
  const failed = row.run(() => Promise.reject(new Error('no')));
  const done = [row.run(changes.make('a')), row.runLatest(changes.make('b')), row.run(changes.make('c'))];
  await expect(failed).rejects.toThrow('no');
  for (const seen of [['a'], ['a', 'b'], ['a', 'b', 'c']]) {
    await changes.settle();
    expect(changes.begun).toEqual(seen);
    await changes.endOne();
  }
  await Promise.all(done);
});

test('of many that make each other superfluous the one that runs and the last are done, and nothing passes another change', async () => {
  const row = new OneAtATime();
  const changes = new Changes();
  const all = [row.runLatest(changes.make('first'))];
  await changes.settle();
  for (let number = 0; number < 1000; number += 1) all.push(row.runLatest(changes.make(`update ${number}`)));
  expect(new Set(all).size).toBe(2);
  const down = row.run(changes.make('down'));
  const after = row.runLatest(changes.make('after'));
  for (let ends = 0; ends < 4; ends += 1) await changes.endOne();
  await Promise.all([...all, down, after]);
  expect(changes.begun).toEqual(['first', 'update 999', 'down', 'after']);
});
