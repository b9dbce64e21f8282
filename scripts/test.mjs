// `npm test`: type check, lint, unit, simulation and interoperability tests, and `N passed, N failed` as the last line.
// Each check counts as one test. Arguments are passed to vitest (`npm test -- packages/wire`), and then only vitest runs.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { closingLine } from './closing-line.mjs';
import { interopEntrance } from './interop-entrance.mjs';
import { bin, build, install, root, tryStep } from './workspace.mjs';

const filters = process.argv.slice(2);
const counts = { passed: 0, failed: 0, skipped: 0 };

step('install', install);
step('build', build);
if (filters.length === 0) {
  check('type check: sources', bin('tsc'), ['-b']);
  check('type check: tests', bin('tsc'), ['-p', 'tsconfig.tests.json']);
  check('lint and format', bin('biome'), ['ci', '--colors=off', '--error-on-warnings', '--max-diagnostics=50']);
  check('unused exports and dependencies', bin('knip'), ['--no-progress']);
}
runTests('unit', [process.execPath]);
runTests('interop', interopEntrance());
process.stdout.write(`\n${closingLine(counts)}\n`);
process.exitCode = counts.failed > 0 ? 1 : 0;

/** A part of the preparation. The tests run even when it failed: most of them need the sources only. */
function step(title, action) {
  try {
    action();
  } catch (error) {
    process.stdout.write(`✗ ${title}\n${error.message}\n`);
    counts.failed += 1;
  }
}

/** One command that must succeed; its output is shown when it does not. */
function check(title, command, args) {
  const result = tryStep(command, args);
  const passed = result.status === 0;
  process.stdout.write(`${passed ? '✓' : '✗'} ${title}\n`);
  if (!passed) process.stdout.write(`${result.stdout}${result.stderr}\n`);
  counts[passed ? 'passed' : 'failed'] += 1;
}

/** One vitest project. A run that leaves no counts behind (it crashed, or its configuration is wrong) is a failure. */
function runTests(project, entrance) {
  const directory = mkdtempSync(join(tmpdir(), 'openvpnd-test-'));
  const countsFile = join(directory, 'counts.json');
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const [command, ...before] = entrance;
  const args = [
    ...before,
    vitest,
    'run',
    '--project',
    project,
    ...(filters.length > 0 ? ['--passWithNoTests', ...filters] : []),
  ];
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, OPENVPND_TEST_COUNTS: countsFile },
  });
  try {
    const found = JSON.parse(readFileSync(countsFile, 'utf8'));
    for (const key of Object.keys(counts)) counts[key] += found[key];
    if (result.status !== 0 && found.failed === 0) counts.failed += 1;
  } catch {
    // Only a run that found no test file ends well without counts.
    if (result.status !== 0) counts.failed += 1;
  }
  rmSync(directory, { recursive: true, force: true });
}
