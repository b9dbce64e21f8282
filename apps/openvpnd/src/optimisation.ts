import { setFlagsFromString } from 'node:v8';

/** The first V8 that counts invocations (Node.js 24); that of Node.js 20, the last that we know to count budgets. V8 complains of flags that it does not know. */
const COUNTS_INVOCATIONS = 13;
const COUNTS_BUDGETS = 11;

/** More looks than there will be. */
const NEVER = 1_000_000_000;

/** When V8 compiles a function: what it costs between two looks at it, how many looks it takes and from which size on, or after how many calls. */
interface Thresholds {
  readonly budget: number;
  readonly ticks: number;
  readonly earlySize: number;
  readonly maglev: number;
  readonly turbofan: number;
}

/** V8's own. */
const USUAL: Thresholds = { budget: 67_584, ticks: 3, earlySize: 81, maglev: 400, turbofan: 3000 };

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
  setThresholds({ ...USUAL, budget: 500, maglev: 50, turbofan: 300 });
}

/**
 * From now on V8's last compiler has nothing new to do; what it has compiled stays, and what runs is counted. For the seconds in which many come at once to a server that
 * has just started: it would compile what a handshake runs through while they wait for a processor, which takes longer than their handshakes. Undone by
 * {@link optimiseAsUsual}, from which nothing is different in a V8 that counts invocations: there the last compiler comes late by itself, and to keep it away made the
 * compiler before it work more.
 */
export function restFromOptimising(): void {
  setFlagsFromString('--lazy-feedback-allocation');
  setThresholds({ ...USUAL, ticks: NEVER, earlySize: 0 });
}

/**
 * From now on V8 optimises as it does by itself; what it has compiled stays. For a server to which many come: their packets are enough to have the rest compiled.
 */
export function optimiseAsUsual(): void {
  setFlagsFromString('--lazy-feedback-allocation');
  setThresholds(USUAL);
}

function setThresholds({ budget, ticks, earlySize, maglev, turbofan }: Thresholds): void {
  const version = Number.parseInt(process.versions.v8, 10);
  if (version >= COUNTS_INVOCATIONS) {
    setFlagsFromString(`--invocation-count-for-maglev=${maglev}`);
    setFlagsFromString(`--invocation-count-for-turbofan=${turbofan}`);
  } else if (version === COUNTS_BUDGETS) {
    setFlagsFromString(`--interrupt-budget=${budget}`);
    setFlagsFromString(`--ticks-before-optimization=${ticks}`);
    setFlagsFromString(`--max-bytecode-size-for-early-opt=${earlySize}`);
  }
}
