// A vitest reporter that says in one last line how the run went: `N passed, N failed`, with `, N skipped` where tests were skipped.
// A test file that does not load and an error outside of any test count as one failure each: the JSON reporter leaves both out.

import { writeFileSync } from 'node:fs';

export default class ClosingLine {
  /** @param {{ countsFile?: string }} options  Where to leave the counts instead of printing them (scripts/test.mjs adds them up). */
  constructor(options = {}) {
    this.countsFile = options.countsFile ?? process.env.OPENVPND_TEST_COUNTS;
  }

  onTestRunEnd(modules, unhandledErrors) {
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };
    for (const module of modules) {
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') counts.passed += 1;
        else if (state === 'failed') counts.failed += 1;
        else counts.skipped += 1;
      }
      counts.failed += suiteErrors(module);
    }
    if (this.countsFile) writeFileSync(this.countsFile, JSON.stringify(counts));
    // vitest prints its own summary in the same turn: come after it.
    else process.once('beforeExit', () => process.stdout.write(`${closingLine(counts)}\n`));
  }
}

/** `12 passed, 0 failed, 3 skipped` */
export function closingLine({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Files that failed to load and hooks (beforeAll, afterAll) that failed. */
function suiteErrors(module) {
  let errors = module.errors().length > 0 ? 1 : 0;
  for (const suite of module.children.allSuites()) if (suite.errors().length > 0) errors += 1;
  return errors;
}
