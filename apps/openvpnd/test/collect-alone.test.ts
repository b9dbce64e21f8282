import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = new URL('../dist/server/collect-alone.js', import.meta.url).href;

/** In a process of its own: flags of V8 are those of a process. V8 tells of each collection, and of each task that took part in one. */
async function tasksOfLargest(script: string): Promise<number> {
  const flags = ['--trace-gc', '--trace-parallel-scavenge', '--semi-space-growth-factor=8', '--input-type=module'];
  const rest = `
    let kept = [];
    for (let round = 0; round < 40; round += 1) {
      kept = [];
      for (let n = 0; n < 100_000; n += 1) kept.push({ n });
    }
  `;
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--eval', script + rest]);
  const tasks = stdout.split(/: Scavenge /).map((one) => one.match(/scavenge\[/g)?.length ?? 0);
  return Math.max(...tasks);
}

const ALONE = `const { collectAlone } = await import('${program}'); collectAlone();`;

test('one thread collects, where several would', async () => {
  // A young generation for which several are worth it.
  const large = `const { setFlagsFromString } = await import('node:v8'); setFlagsFromString('--semi-space-growth-factor=8');`;
  expect(await tasksOfLargest(`${ALONE} ${large}`)).toBe(1);
  expect(await tasksOfLargest('')).toBeGreaterThan(1);
});
