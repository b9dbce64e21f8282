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

/** V8's own, in Node.js 20 to 24: bytes of bytecode of the largest function that its last compiler takes. */
const LARGEST_OPTIMISED = 61_440;

/**
 * Until {@link resumeOptimising} V8's last compiler takes no more functions; what runs often is still compiled by the quick ones. For the seconds in which many clients come:
 * of the processor time of 200 handshakes it used a third, for code that most of them did not live to see, and while its threads waited for a processor the thread of the
 * packets waited for them (for locks of V8 and of the C library).
 */
export function pauseOptimising(): void {
  setFlagsFromString('--max-optimized-bytecode-size=0');
}

/** The end of {@link pauseOptimising}. What has become hot meanwhile is compiled soon. Calling it again changes nothing. */
export function resumeOptimising(): void {
  setFlagsFromString(`--max-optimized-bytecode-size=${LARGEST_OPTIMISED}`);
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
