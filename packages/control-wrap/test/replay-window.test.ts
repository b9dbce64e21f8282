import { describe, expect, test } from 'vitest';
import { PacketIdCounter } from '../src/packet-id-counter.js';
import { ReplayWindow } from '../src/replay-window.js';
import { toHex, vectors } from './vectors.js';

const all = vectors('packet_id_long');

function take(window: ReplayWindow, now: number, id: number, time = 7): boolean {
  const good = window.test(now, id, time);
  if (good) window.commit(now, id, time);
  return good;
}

describe('windows', () => {
  test.each(all.filter(([, v]) => v.inputs.ids))('%s', (_id, { inputs, expected }) => {
    const window = new ReplayWindow({ packets: inputs.window, seconds: 15 });
    const accepted = inputs.ids.map((id: number | [number, number]) =>
      Array.isArray(id) ? take(window, 0, id[0], id[1]) : take(window, 0, id),
    );
    expect(accepted).toEqual(expected.accept);
  });
});

describe('writing', () => {
  const next = (counter: PacketIdCounter): string => {
    const bytes = new Uint8Array(8);
    counter.writeNext(bytes, 0);
    return toHex(bytes);
  };

  test('write-long', () => {
    const { inputs, expected } = all.find(([id]) => id === 'write-long')![1];
    expect(next(new PacketIdCounter(inputs.now, inputs.id + 1))).toBe(expected.bytes);
  });

  // The counter has no clock: after the last id it goes on in the next second instead of asking whether it has come.
  test('long-wrap-new-time', () => {
    const { inputs } = all.find(([id]) => id === 'long-wrap-new-time')![1];
    const counter = new PacketIdCounter(inputs.time, inputs.id);
    expect(next(counter)).toBe('ffffffff0000138e');
    expect(next(counter)).toBe('000000010000138f');
  });

  test('long-wrap-same-time', () => {
    const { inputs } = all.find(([id]) => id === 'long-wrap-same-time')![1];
    const counter = new PacketIdCounter(inputs.time, inputs.id);
    const [last, after] = [next(counter), next(counter)];
    expect(after.slice(8)).not.toBe(last.slice(8));
  });
});

test('a test changes nothing: a packet whose tag was wrong may come again', () => {
  const window = new ReplayWindow({ packets: 64, seconds: 15 });
  expect(window.test(0, 5, 7)).toBe(true);
  expect(window.test(0, 5, 7)).toBe(true);
  expect(take(window, 0, 5)).toBe(true);
  expect(window.test(0, 5, 7)).toBe(false);
});

test('an id that was seen too long ago bars those below it', () => {
  const window = new ReplayWindow({ packets: 64, seconds: 15 });
  expect(take(window, 0, 10)).toBe(true);
  expect(take(window, 14_000, 20)).toBe(true);
  expect(take(window, 14_500, 8)).toBe(true);
  expect(take(window, 20_000, 9)).toBe(false);
  expect(take(window, 20_000, 15)).toBe(true);
  expect(take(window, 40_000, 19)).toBe(false);
  expect(take(window, 40_000, 21)).toBe(true);
});

test('a new series forgets the old one', () => {
  const window = new ReplayWindow({ packets: 64, seconds: 15 });
  expect(take(window, 0, 1000, 7)).toBe(true);
  expect(take(window, 0, 990, 8)).toBe(true);
  expect(take(window, 0, 1000, 8)).toBe(true);
  expect(take(window, 0, 995, 8)).toBe(true);
  expect(take(window, 0, 995, 8)).toBe(false);
  expect(take(window, 0, 1001, 7)).toBe(false);
});

test('without a window a new series begins with 1', () => {
  const window = new ReplayWindow({ packets: 0, seconds: 15 });
  expect(take(window, 0, 3, 7)).toBe(true);
  expect(take(window, 0, 2, 8)).toBe(false);
  expect(take(window, 0, 1, 8)).toBe(true);
  expect(take(window, 0, 2, 8)).toBe(true);
});
