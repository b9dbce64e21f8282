import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test, vi } from 'vitest';
import { programArguments, programFailure, runUserProgram } from '../src/host/user-program.js';

interface Vector {
  readonly id: string;
  readonly inputs: { readonly format: string; readonly args: readonly (string | number)[] };
  readonly expected: { readonly argc: number; readonly ok?: boolean };
}

const file = new URL('./vectors/script_arguments.json', import.meta.url);
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: readonly Vector[] };

describe('vectors of script arguments', () => {
  test.each(vectors)('$id', ({ inputs, expected }) => {
    const values = [...inputs.args];
    const [program = '', ...more] = inputs.format
      .trim()
      .split(/\s+/)
      .map((word) => word.replace(/%[sd]/g, () => String(values.shift())));
    const made = programArguments(`"${program}"`, more);
    expect(made?.length ?? 0).toBe(expected.argc);
    expect(made !== undefined).toBe(expected.ok ?? true);
    if (made !== undefined) expect(made).toEqual([program, ...more]);
  });
});

test('quotes of the command line are read, those of other arguments are not', () => {
  expect(programArguments('/bin/judge "a b" c\\ d', ['"e f" g'])).toEqual(['/bin/judge', 'a b', 'c d', '"e f" g']);
  expect(programArguments('', [])).toBeUndefined();
  expect(programArguments('/bin/judge "a', [])).toBeUndefined();
  expect(programArguments('/bin/judge', ['a\u0000b'])).toBeUndefined();
});

/** The state of a process in /proc, or that it is gone; its new parent may not have taken note of its end yet (`Z`). */
function stateOf(pid: number): string {
  try {
    return /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 'gone';
  } catch {
    return 'gone';
  }
}

describe('a program', () => {
  const say: string[] = [];
  const settings = { scriptSecurity: 2, timeoutMs: 10_000, say: (line: string): number => say.push(line) };

  test('gets its arguments and its environment, and nothing else', async () => {
    const script =
      'test "$1" = "a  b" && test "$NAME" = "x; y" && test -z "$HOME" && test -z "$NODE_OPTIONS" && exit 3';
    const end = await runUserProgram('/bin/sh', ['-c', script, 'sh', 'a  b'], { NAME: 'x; y' }, settings);
    expect(end).toEqual({ type: 'exit', status: 3 });
    expect(programFailure(end)).toBe('external program exited with error status: 3');
    expect(programFailure(await runUserProgram('/bin/true', [], {}, settings))).toBeUndefined();
  });

  test('that is missing, or takes too long, has failed', async () => {
    expect(programFailure(await runUserProgram('/nonexistent', [], {}, settings))).toBe(
      'could not execute external program',
    );
    const end = await runUserProgram('/bin/sleep', ['60'], {}, { ...settings, timeoutMs: 100 });
    expect(programFailure(end)).toBe('external program received signal SIGKILL');
  });

  test('that takes too long ends with all that it has started', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'user-program-'));
    try {
      const script = `sleep 1000 & echo $! > ${directory}/child; wait`;
      const end = await runUserProgram('/bin/sh', ['-c', script], {}, { ...settings, timeoutMs: 5000 });
      expect(programFailure(end)).toBe('external program received signal SIGKILL');
      const child = Number(readFileSync(join(directory, 'child'), 'utf8'));
      await vi.waitFor(() => expect(stateOf(child)).toMatch(/^(gone|Z|X)$/), 10_000);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });

  test('is not run without script-security', async () => {
    const end = await runUserProgram('/bin/true', [], {}, { ...settings, scriptSecurity: 1 });
    expect(programFailure(end)).toBe('disallowed by script-security setting');
    expect(say.at(-1)).toMatch(/script-security 2/);
  });
});
