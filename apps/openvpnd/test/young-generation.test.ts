import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = new URL('../dist/young-generation.js', import.meta.url).href;

/** How many times as large the young generation becomes by objects that outlive collections. In a process of its own: flags of V8 are those of a process. */
async function growth(before: string): Promise<number> {
  const script = `
    import { getHeapSpaceStatistics } from 'node:v8';
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    import { keepYoungGenerationSmall, letYoungGenerationGrow } from '${program}';
    const thread = () => once(new Worker('', { eval: true }), 'exit');
    const size = () => getHeapSpaceStatistics().find((one) => one.space_name === 'new_space').space_size;
    ${before}
    const first = size();
    let kept = [];
    for (let round = 0; round < 20; round += 1) {
      kept = [];
      for (let n = 0; n < 100_000; n += 1) kept.push({ n });
    }
    console.log(size() / first);
  `;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script]);
  return Number(stdout);
}

/** Its second half is there when it has been collected for the first time. */
const WITH_BOTH_HALVES = 2;

test('the young generation keeps its size, where it would grow', async () => {
  expect(await growth('keepYoungGenerationSmall();')).toBeLessThanOrEqual(WITH_BOTH_HALVES);
  expect(await growth('')).toBeGreaterThan(WITH_BOTH_HALVES);
});

test('it grows again where it is let', async () => {
  expect(await growth('keepYoungGenerationSmall(); letYoungGenerationGrow();')).toBeGreaterThan(WITH_BOTH_HALVES);
});

/** That of Node.js 20; that of Node.js 24 does not forget. */
const FORGETFUL_V8 = '11.';

test.runIf(process.versions.v8.startsWith(FORGETFUL_V8))(
  'a thread that begins has V8 forget it, and asking again is enough',
  async () => {
    const forgotten = 'keepYoungGenerationSmall(); await thread();';
    expect(await growth(`${forgotten} keepYoungGenerationSmall();`)).toBeLessThanOrEqual(WITH_BOTH_HALVES);
    expect(await growth(forgotten)).toBeGreaterThan(WITH_BOTH_HALVES);
  },
);
