import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = new URL('../dist/host/helper-threads.js', import.meta.url).href;

/** In a process of its own: what is done to threads is done for good. */
const SCRIPT = `
  import { readdirSync } from 'node:fs';
  import { getPriority } from 'node:os';
  const { lowerHelperThreads } = await import('${program}');
  const before = getPriority(process.pid);
  lowerHelperThreads();
  const others = readdirSync('/proc/self/task').map(Number).filter((thread) => thread !== process.pid);
  console.log(JSON.stringify({ before, main: getPriority(process.pid), others: others.map((thread) => getPriority(thread)) }));
`;

test.skipIf(process.platform !== 'linux')(
  'helper threads go behind the main thread, which stays where it was',
  async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', SCRIPT]);
    const { before, main, others } = JSON.parse(stdout) as { before: number; main: number; others: number[] };
    expect(main).toBe(before);
    expect(others.length).toBeGreaterThan(0);
    for (const one of others) expect(one).toBeGreaterThan(main);
  },
);
