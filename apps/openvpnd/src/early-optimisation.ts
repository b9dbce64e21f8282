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
  setFlagsFromString('--no-lazy-feedback-allocation');
  setThresholds({ budget: 500, maglev: 50, turbofan: 300 });
}

/**
 * From now on V8 optimises as it does by itself; what it has compiled stays. For a server to which many come: what a handshake runs through would be compiled after a few of
 * them, which takes longer than a hundred handshakes, and their packets are enough to have the rest compiled anyway.
 */
export function optimiseAsUsual(): void {
  setFlagsFromString('--lazy-feedback-allocation');
  // V8's own.
  setThresholds({ budget: 67_584, maglev: 400, turbofan: 3000 });
}

function setThresholds({ budget, maglev, turbofan }: { budget: number; maglev: number; turbofan: number }): void {
  const version = Number.parseInt(process.versions.v8, 10);
  if (version >= COUNTS_INVOCATIONS) {
    setFlagsFromString(`--invocation-count-for-maglev=${maglev}`);
    setFlagsFromString(`--invocation-count-for-turbofan=${turbofan}`);
  } else if (version === COUNTS_BUDGETS) {
    setFlagsFromString(`--interrupt-budget=${budget}`);
  }
}
