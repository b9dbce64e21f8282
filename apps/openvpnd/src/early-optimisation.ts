import { setFlagsFromString } from 'node:v8';

/** The first V8 that counts invocations (Node.js 24); that of Node.js 20, the last that we know to count budgets. V8 complains of flags that it does not know. */
const COUNTS_INVOCATIONS = 13;
const COUNTS_BUDGETS = 11;

/**
 * From now on V8 optimises what runs often after a few hundred packets instead of a few thousand. A tunnel with little traffic would otherwise be interpreted for minutes, cold each
 * time, and a round trip through it take twice as long.
 *
 * To be called just before the first packet of data can come: a server's when it listens, a client's when it is connected. Earlier, V8 would compile what only a start and a
 * handshake need, which takes longer than they do; later, the functions that packets run through would have their old budgets, since they get them when they first run.
 * Calling it again changes nothing.
 */
export function optimiseEarly(): void {
  const version = Number.parseInt(process.versions.v8, 10);
  setFlagsFromString('--no-lazy-feedback-allocation');
  if (version >= COUNTS_INVOCATIONS) {
    setFlagsFromString('--invocation-count-for-maglev=50');
    setFlagsFromString('--invocation-count-for-turbofan=300');
  } else if (version === COUNTS_BUDGETS) {
    setFlagsFromString('--interrupt-budget=500');
  }
}
