import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ADDRESS_WORDS, PacketVector } from '@openvpnd/memory';
import { beforeEach, describe, expect, test } from 'vitest';
import { type ArrivalCounters, ArrivalQueue, linkAddress, parseEndpoint } from '../src/index.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

const LINK = 7;
const FROM = linkAddress(parseEndpoint('192.0.2.1', 1194)!);

/** A loop whose turns are the test's. */
class Turns {
  #asked: (() => void)[] = [];

  readonly soon = (fire: () => void): void => {
    this.#asked.push(fire);
  };

  get asked(): number {
    return this.#asked.length;
  }

  run(): void {
    for (const fire of this.#asked.splice(0)) fire();
  }
}

let counters: ArrivalCounters;
let soon: Turns;
let later: Turns;
let told: string[];

beforeEach(() => {
  counters = { received: 0, overflowed: 0, oversized: 0 };
  soon = new Turns();
  later = new Turns();
  told = [];
});

function queueOf(capacity?: number): ArrivalQueue {
  const limit = capacity === undefined ? {} : { capacity };
  return new ArrivalQueue({ linkId: LINK, counters, soon: soon.soon, later: later.soon, ...limit });
}

function vector(capacity: number): PacketVector {
  return new PacketVector({ capacity, packetBytes: 8, headroom: 0, tailroom: 0 });
}

function watch(queue: ArrivalQueue, take: number): void {
  queue.watch({
    readable: () => void told.push(`readable, took ${take === 0 ? 0 : queue.receiveBatch(vector(take))}`),
    writable: () => void told.push('writable'),
    failed: (error) => void told.push(error.message),
  });
}

function packet(byte: number, length = 1): Uint8Array {
  return new Uint8Array(length).fill(byte);
}

describe('what has arrived', () => {
  test('becomes rows with their sources, in order', () => {
    const queue = queueOf();
    queue.push(packet(1), FROM);
    queue.push(packet(2), FROM, 5000);
    const rx = vector(4);
    expect(queue.receiveBatch(rx)).toBe(2);
    expect([rx.packet(0)[0], rx.packet(1)[0]]).toEqual([1, 2]);
    const addressOf = (port: number): Uint32Array => linkAddress(parseEndpoint('192.0.2.1', port)!, LINK);
    expect(rx.addresses.slice(0, ADDRESS_WORDS)).toEqual(addressOf(1194));
    expect(rx.addresses.slice(ADDRESS_WORDS, 2 * ADDRESS_WORDS)).toEqual(addressOf(5000));
    expect(counters).toEqual({ received: 2, overflowed: 0, oversized: 0 });
    expect(queue.receiveBatch(rx)).toBe(0);
  });

  test('waits for room in the vector', () => {
    const queue = queueOf();
    for (let n = 0; n < 5; n += 1) queue.push(packet(n), FROM);
    const first = vector(3);
    expect(queue.receiveBatch(first)).toBe(3);
    expect(queue.waiting).toBe(2);
    const second = vector(3);
    expect(queue.receiveBatch(second)).toBe(2);
    expect(second.packet(1)[0]).toBe(4);
  });

  test('is let go when it was taken, also where something waits at all times', () => {
    const queue = queueOf();
    const rx = vector(1);
    const before = heldBytes();
    queue.push(packet(0, 8), FROM);
    for (let n = 1; n <= 20_000; n += 1) {
      const large = new Uint8Array(1024);
      large.fill(n);
      queue.push(large.subarray(0, 8), FROM);
      rx.reset();
      expect(queue.receiveBatch(rx)).toBe(1);
      expect(rx.packet(0)[0]).toBe((n - 1) & 0xff);
    }
    expect(queue.waiting).toBe(1);
    expect(heldBytes() - before).toBeLessThan(2 << 20);
  });

  test('is dropped when it is larger than a row, and what stands behind it is not', () => {
    const queue = queueOf();
    queue.push(packet(1, 9), FROM);
    queue.push(packet(2, 8), FROM);
    expect(queue.receiveBatch(vector(1))).toBe(1);
    expect(counters).toEqual({ received: 1, overflowed: 0, oversized: 1 });
  });

  test('is dropped when it is empty', () => {
    const queue = queueOf();
    expect(queue.push(new Uint8Array(0), FROM)).toBe(false);
    expect(queue.waiting).toBe(0);
    expect(counters.oversized).toBe(1);
  });

  test('is dropped beyond the capacity, which counts what waits alone', () => {
    const queue = queueOf(2);
    expect([queue.push(packet(1), FROM), queue.push(packet(2), FROM), queue.push(packet(3), FROM)]).toEqual([
      true,
      true,
      false,
    ]);
    queue.receiveBatch(vector(1));
    expect(queue.push(packet(4), FROM)).toBe(true);
    expect(counters.overflowed).toBe(1);
  });
});

describe('the driver', () => {
  test('is told once of all that a turn has brought', () => {
    const queue = queueOf();
    watch(queue, 8);
    for (const byte of [1, 2, 3]) {
      queue.push(packet(byte), FROM);
      queue.announce();
    }
    expect(told).toEqual([]);
    expect(soon.asked).toBe(1);
    soon.run();
    expect(told).toEqual(['readable, took 3']);
    expect([soon.asked, later.asked]).toEqual([0, 0]);
  });

  test('is told at once by offer, and again of what it left', () => {
    const queue = queueOf();
    watch(queue, 1);
    queue.push(packet(1), FROM);
    queue.push(packet(2), FROM);
    queue.offer();
    expect(told).toEqual(['readable, took 1']);
    soon.run();
    expect(told).toEqual(['readable, took 1', 'readable, took 1']);
    expect(soon.asked).toBe(0);
  });

  test('is asked again later when it took nothing, and soon when something comes', () => {
    const queue = queueOf();
    watch(queue, 0);
    queue.push(packet(1), FROM);
    queue.offer();
    queue.offer();
    expect([soon.asked, later.asked]).toEqual([0, 1]);
    queue.push(packet(2), FROM);
    queue.announce();
    expect(soon.asked).toBe(1);
    told.length = 0;
    later.run();
    expect(told).toEqual(['readable, took 0']);
  });

  test('hears of what came before it, and nothing while it is paused', () => {
    const queue = queueOf();
    queue.push(packet(1), FROM);
    queue.announce();
    expect(soon.asked).toBe(0);
    queue.pause();
    watch(queue, 8);
    queue.offer();
    soon.run();
    expect(told).toEqual([]);
    queue.resume();
    soon.run();
    expect(told).toEqual(['readable, took 1']);
  });

  test('hears nothing that was announced before a pause', () => {
    const queue = queueOf();
    watch(queue, 8);
    queue.push(packet(1), FROM);
    queue.announce();
    queue.pause();
    soon.run();
    expect(told).toEqual([]);
  });
});

describe('the end', () => {
  test('is told once, behind all that arrived before it, and the first reason counts', () => {
    const queue = queueOf();
    watch(queue, 1);
    queue.push(packet(1), FROM);
    queue.push(packet(2), FROM);
    queue.end(new Error('first'));
    queue.end(new Error('second'));
    expect(queue.open).toBe(false);
    expect(queue.push(packet(3), FROM)).toBe(false);
    queue.offer();
    for (let turn = 0; turn < 5; turn += 1) soon.run();
    expect(told).toEqual(['readable, took 1', 'readable, took 1', 'first']);
    expect(queue.watcher).toBeUndefined();
  });

  test('waits for a driver that is paused', () => {
    const queue = queueOf();
    watch(queue, 1);
    queue.pause();
    queue.end(new Error('over'));
    queue.offer();
    expect(told).toEqual([]);
    queue.resume();
    soon.run();
    expect(told).toEqual(['over']);
  });

  test('is not told of a link that was closed, nor is anything else', () => {
    const queue = queueOf();
    watch(queue, 8);
    queue.push(packet(1), FROM);
    queue.announce();
    queue.end(new Error('over'));
    queue.close();
    soon.run();
    queue.resume();
    queue.offer();
    expect(told).toEqual([]);
    expect(queue.receiveBatch(vector(1))).toBe(0);
  });
});
