import { setFlagsFromString } from 'node:v8';

/** The first V8 that counts invocations (Node.js 24); that of Node.js 20, the last that we know to count budgets. V8 complains of flags that it does not know. */
const COUNTS_INVOCATIONS = 13;
const COUNTS_BUDGETS = 11;

/**
 * Lets V8 optimise what runs often after a few hundred packets instead of a few thousand. A tunnel with little traffic would otherwise be interpreted for minutes, cold each
 * time, and a round trip through it take twice as long. The daemon is small: what is compiled too early costs some milliseconds, once.
 *
 * Imported before everything else, since functions get their budgets when they are made.
 */
const version = Number.parseInt(process.versions.v8, 10);
setFlagsFromString('--no-lazy-feedback-allocation');
if (version >= COUNTS_INVOCATIONS) {
  setFlagsFromString('--invocation-count-for-maglev=50');
  setFlagsFromString('--invocation-count-for-turbofan=300');
} else if (version === COUNTS_BUDGETS) {
  setFlagsFromString('--interrupt-budget=500');
}
