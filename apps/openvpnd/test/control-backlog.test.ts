import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { ControlBacklog } from '../src/server/control-backlog.js';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function heldBytes(): number {
  collect();
  return process.memoryUsage().arrayBuffers;
}

const packet = (byte: number): Uint8Array => Uint8Array.of(byte);

describe('ControlBacklog', () => {
  it('gives packets in the order in which they came', () => {
    const backlog = new ControlBacklog<string>();
    backlog.add('a', packet(1), 'coming');
    backlog.add('b', packet(2), 'coming');
    expect(backlog.take()).toEqual({ client: 'a', packet: packet(1) });
    backlog.add('a', packet(3), 'coming');
    expect([backlog.take(), backlog.take()].map((one) => one?.packet[0])).toEqual([2, 3]);
    expect(backlog.isEmpty).toBe(true);
    expect(backlog.take()).toBeUndefined();
  });

  it('has room for so much of one client, and still for others', () => {
    const backlog = new ControlBacklog<string>();
    for (let n = 0; n < 20; n += 1) backlog.add('greedy', packet(n), 'coming');
    backlog.add('modest', packet(99), 'coming');
    expect(backlog.dropped).toBe(4);
    const taken = Array.from({ length: 17 }, () => backlog.take());
    expect(taken.map((one) => one?.packet[0])).toEqual([...Array(16).keys(), 99]);
    // Who was served has room again.
    backlog.add('greedy', packet(7), 'coming');
    expect(backlog.take()).toEqual({ client: 'greedy', packet: packet(7) });
  });

  it('lets both kinds take turns, each in its order, and one alone go on', () => {
    const backlog = new ControlBacklog<string>();
    for (let n = 0; n < 4; n += 1) backlog.add(`stranger ${n}`, packet(n), 'coming');
    for (let n = 0; n < 2; n += 1) backlog.add('client', packet(10 + n), 'connected');
    expect([backlog.holds('coming'), backlog.holds('connected')]).toEqual([true, true]);
    expect(Array.from({ length: 7 }, () => backlog.take()?.packet[0])).toEqual([10, 0, 11, 1, 2, 3, undefined]);
    expect(backlog.isEmpty).toBe(true);
  });

  it('has room for those who are connected, however many come', () => {
    const backlog = new ControlBacklog<number>();
    for (let client = 0; client < 5000; client += 1) backlog.add(client, packet(0), 'coming');
    const { dropped } = backlog;
    backlog.add(-1, packet(1), 'connected');
    expect(backlog.dropped).toBe(dropped);
    const [first, second] = [backlog.take(), backlog.take()];
    expect([first?.client, second?.client]).toContain(-1);
    for (let client = -2; client > -5000; client -= 1) backlog.add(client, packet(1), 'connected');
    expect(backlog.dropped - dropped).toBe(4998 - 2048);
  });

  it('holds nothing of what was taken, however long it is never empty', () => {
    const backlog = new ControlBacklog<number>();
    const bytesBefore = heldBytes();
    backlog.add(0, new Uint8Array(1024), 'coming');
    for (let turn = 1; turn <= 50_000; turn += 1) {
      backlog.add(turn, new Uint8Array(1024).fill(turn), 'coming');
      expect(backlog.take()?.client).toBe(turn - 1);
    }
    expect(backlog.isEmpty).toBe(false);
    expect(heldBytes() - bytesBefore).toBeLessThan(4 << 20);
    expect(backlog.take()?.packet).toEqual(new Uint8Array(1024).fill(50_000));
    expect(backlog.isEmpty).toBe(true);
  });

  it('is bounded as a whole', () => {
    const backlog = new ControlBacklog<number>();
    for (let client = 0; client < 3000; client += 1) backlog.add(client, packet(0), 'coming');
    expect(backlog.dropped).toBe(3000 - 2048);
    let taken = 0;
    while (backlog.take() !== undefined) taken += 1;
    expect(taken).toBe(2048);
  });
});
