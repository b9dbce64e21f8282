import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const program = new URL('../dist/optimisation.js', import.meta.url).href;

/** In a process of its own: flags of V8 are those of a process. Functions are compiled where they are called, so that what is compiled does not hang on time. */
const SCRIPT = `
  const { optimiseEarly, restFromOptimising, optimiseAsUsual } = await import('${program}');
  function often(times) {
    // A text of its own: V8 would know one that it has met.
    const hot = new Function('a', '/* ' + Math.random() + ' */ let sum = 0; for (let n = 0; n < 100; n += 1) sum += a[n & 7] ^ n; return sum;');
    for (let time = 0; time < times; time += 1) hot([1, 2, 3, 4, 5, 6, 7, 8]);
    // V8: kTurboFanned.
    return (%GetOptimizationStatus(hot) & 64) !== 0;
  }
  optimiseEarly();
  const early = often(12);
  restFromOptimising();
  const resting = often(400);
  optimiseAsUsual();
  const usual = often(12);
  const usualInTheEnd = often(400);
  console.log(JSON.stringify({ early, resting, usual, usualInTheEnd }));
`;

test('V8 optimises early, not at all, and as it does by itself', async () => {
  const flags = ['--allow-natives-syntax', '--no-concurrent-recompilation', '--no-use-osr', '--input-type=module'];
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, '--eval', SCRIPT]);
  // Only a V8 that counts budgets can rest.
  const resting = Number.parseInt(process.versions.v8, 10) !== 11;
  expect(JSON.parse(stdout)).toEqual({ early: true, resting, usual: false, usualInTheEnd: true });
});
