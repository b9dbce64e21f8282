import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));
const { include_dir: headers } = createRequire(import.meta.url)('node-api-headers') as { include_dir: string };
const COMPILER = process.env.CC ?? 'cc';
const SANITIZERS = ['-fsanitize=address,undefined', '-fno-sanitize-recover=all', '-g', '-O1'];

let directory: string;
let canSanitize = false;

function compile(
  program: string,
  ...sources: readonly string[]
): { readonly status: number | null; readonly stderr: string } {
  const flags = ['-std=c11', '-Wall', '-Wextra', '-I', headers, ...SANITIZERS];
  return spawnSync(COMPILER, [...flags, '-o', join(directory, program), ...sources], { encoding: 'utf8' });
}

/** Whether the compiler has the sanitizers, and their library is there. */
function probe(): boolean {
  const source = join(directory, 'probe.c');
  writeFileSync(source, 'int main(void) { return 0; }\n');
  return compile('probe', source).status === 0 && spawnSync(join(directory, 'probe')).status === 0;
}

describe('splitting and gathering under AddressSanitizer', () => {
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'packet-io-fuzz-'));
    canSanitize = probe();
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  test('survive packets that are right, nearly right and wrong, and lose nothing', ({ skip }) => {
    if (!canSanitize && process.env.OPENVPND_REQUIRE_TOOLS !== '1') skip(`${COMPILER} has no AddressSanitizer`);
    expect(canSanitize, `${COMPILER} has AddressSanitizer`).toBe(true);
    const built = compile('offloads', here('fuzz/offloads.c'), here('../native/inner.c'), here('../native/coalesce.c'));
    expect(built).toMatchObject({ status: 0, stderr: '' });
    const seed = process.env.OPENVPND_FUZZ_SEED ?? '1';
    const rounds = process.env.OPENVPND_FUZZ_ROUNDS ?? '4000';
    const run = spawnSync(join(directory, 'offloads'), [seed, rounds], { encoding: 'utf8' });
    expect(`${run.stdout}${run.stderr}`).toMatch(/^\d+ split into \d+, \d+ refused, \d+ runs of \d+\n$/);
    expect(run.status).toBe(0);
    // It has not only refused.
    const [split, packets, refused, runs, joined] = (run.stdout.match(/\d+/g) ?? []).map(Number);
    for (const count of [split, refused, runs]) expect(count).toBeGreaterThan(Number(rounds) / 20);
    expect(packets).toBeGreaterThan(2 * split);
    expect(joined).toBeGreaterThan(2 * runs);
  }, 120_000);

  test('a write beyond a packet is seen', ({ skip }) => {
    if (!canSanitize && process.env.OPENVPND_REQUIRE_TOOLS !== '1') skip(`${COMPILER} has no AddressSanitizer`);
    const source = join(directory, 'beyond.c');
    writeFileSync(
      source,
      '#include <stdlib.h>\nint main(int n, char **a) { char *p = malloc((size_t)n); p[n] = a[0][0]; return p[n]; }\n',
    );
    expect(compile('beyond', source).status).toBe(0);
    const run = spawnSync(join(directory, 'beyond'), { encoding: 'utf8' });
    expect(run.stderr).toContain('heap-buffer-overflow');
    expect(run.status).not.toBe(0);
  });
});
