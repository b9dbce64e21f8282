import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = new URL('../dist/server/compact-heap.js', import.meta.url).href;

/** Turns of 5 ms to wait for a collection that should not come, and for one that should, of which threads do a part. */
const SHORT = 10;
const LONG = 2000;

/** How often V8 collects the whole heap while it grows from 8 to 15 MB, of which all stays. In a process of its own: flags of V8 are those of a process. */
async function collections(before: string, after = '', patience = SHORT): Promise<number> {
  const script = `
    import { PerformanceObserver, constants } from 'node:perf_hooks';
    import { keepHeapCompact, leaveRoomForRush, letHeapGrow } from '${program}';
    let count = 0;
    const whole = [constants.NODE_PERFORMANCE_GC_MAJOR, constants.NODE_PERFORMANCE_GC_INCREMENTAL];
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (whole.includes(detail.kind)) count += 1;
    }).observe({ entryTypes: ['gc'] });
    const turn = () => new Promise((resolve) => setTimeout(resolve, 5));
    const kept = [];
    const keep = (kib) => { for (let n = 0; n < kib; n += 1) kept.push(new Array(118).fill(n)); };
    ${before}
    keep(4096);
    gc();
    for (let turns = 0; turns < 4; turns += 1) await turn();
    count = 0;
    ${after}
    for (let turns = 0; turns < 14; turns += 1) { keep(512); await turn(); }
    for (let turns = 0; turns < ${patience} && count === 0; turns += 1) await turn();
    console.log(count);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '--eval',
    script,
  ]);
  return Number(stdout);
}

test('a server that has started has room for a rush, where V8 would collect in its midst', async () => {
  expect(await collections('keepHeapCompact(); leaveRoomForRush();', 'letHeapGrow();')).toBe(0);
  expect(await collections('keepHeapCompact();', 'letHeapGrow();', LONG)).toBeGreaterThan(0);
});

test('afterwards the heap is kept compact again', async () => {
  expect(await collections('leaveRoomForRush(); letHeapGrow(); keepHeapCompact();', '', LONG)).toBeGreaterThan(0);
});
