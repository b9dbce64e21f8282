import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK } from '@openvpnd/memory';
import { describe, expect, it } from 'vitest';
import { makeVector, payload, twoEnds } from './two-ends.js';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');

const BATCH = 50;
const PACKETS = 10_000;
const MEASUREMENTS = 20;

describe('allocation', () => {
  it.each([
    ['sealing and opening', false],
    ['sealing and opening under epoch keys', true],
  ])('%s 10 000 packets allocates nothing for a packet', (_name, epoch) => {
    const settings = {
      pingMs: 10_000,
      silence: { ms: 60_000, signal: 'ping-restart' as const },
      inactive: { ms: 60_000, bytes: 1 },
      renegotiateBytes: 1e12,
      renegotiatePackets: 1e12,
    };
    const { client, server } = twoEnds(settings, 5, 1300, epoch);
    const tx = makeVector(BATCH);
    const rx = makeVector(BATCH);
    const packet = payload(900);
    let now = 1.5;
    let opened = 0;
    const pass = (): void => {
      tx.reset();
      for (let count = 0; count < BATCH; count++) {
        const row = tx.appendCopy(packet);
        tx.slot[row] = 3;
        tx.fate[row] = FATE_SEAL;
      }
      client.sealBatch(now, tx);
      rx.reset();
      for (let row = 0; row < BATCH; row++) {
        if (tx.fate[row] !== FATE_TO_LINK) continue;
        const copy = rx.append();
        for (let at = 0; at < tx.length[row]; at++) rx.bytes[rx.offset[copy] + at] = tx.bytes[tx.offset[row] + at];
        rx.length[copy] = tx.length[row];
        rx.slot[copy] = 3;
        rx.fate[copy] = FATE_OPEN;
      }
      server.openBatch(now, rx);
      for (let row = 0; row < rx.count; row++) if (rx.fate[row] === FATE_INNER) opened += 1;
      now += 0.25;
    };
    const grown = growthOf(pass);
    expect(opened).toBe(MEASUREMENTS * PACKETS);
    // A single number boxed for each packet would be 160 KB; what a batch costs (its `now`) may be seen.
    expect(grown).toBeLessThan(64 * 1024);
  });

  it('would be noticed', () => {
    let sink: unknown;
    const grown = growthOf(() => {
      for (let count = 0; count < BATCH; count++) sink = { count };
    });
    expect(sink).toEqual({ count: BATCH - 1 });
    expect(grown).toBeGreaterThan(64 * 1024);
  });
});

/**
 * How much the heap grows in as many rounds as make up PACKETS. The least of several measurements: while code is still being compiled it
 * allocates, and so does the compiler.
 */
function growthOf(round: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let attempt = 0; attempt < MEASUREMENTS; attempt++) {
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let count = 0; count < PACKETS / BATCH; count++) round();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  return least;
}
