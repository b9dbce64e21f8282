import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { root } from './fences/fences.js';

const directory = mkdtempSync(join(tmpdir(), 'openvpnd-closing-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The last line of a vitest run over one file with this content. */
function lastLine(content: string): string {
  writeFileSync(join(directory, 'planted.test.mjs'), content);
  const reporter = `${root}scripts/closing-line.mjs`;
  const args = [`${root}node_modules/vitest/vitest.mjs`, 'run', '--globals', '--root', directory, '--reporter=default'];
  const { OPENVPND_TEST_COUNTS: _, ...env } = process.env;
  const done = spawnSync(process.execPath, [...args, `--reporter=${reporter}`], {
    cwd: directory,
    env,
    encoding: 'utf8',
  });
  return done.stdout.trimEnd().split('\n').at(-1) as string;
}

describe('the closing line', () => {
  test('counts what passed, failed and was skipped', () => {
    const content =
      "test('a', () => {}); test('b', () => { throw new Error('on purpose'); }); test.skip('c', () => {});";
    expect(lastLine(content)).toBe('1 passed, 1 failed, 1 skipped');
  });

  test('counts a file that does not load', () => {
    expect(lastLine("import './missing.mjs'; test('a', () => {});")).toBe('0 passed, 1 failed');
  });

  test('counts a hook that fails, and an error outside of any test', () => {
    const hook = "describe('d', () => { beforeAll(() => { throw new Error('on purpose'); }); test('a', () => {}); });";
    expect(lastLine(hook)).toMatch(/ 1 failed/);
    const stray =
      "test('a', async () => { setTimeout(() => { throw new Error('on purpose'); }, 1); await new Promise((r) => setTimeout(r, 50)); });";
    expect(lastLine(stray)).toBe('1 passed, 1 failed');
  });
});
