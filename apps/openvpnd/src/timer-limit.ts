/** Timers of the process count milliseconds in 32 bits: one that is set for longer is over at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Seconds of an option, which may be any number, as a timer takes them: 24 days at most, which nobody waits for. */
export function timerMs(seconds: number): number {
  return Math.min(seconds * 1000, LONGEST_TIMER_MS);
}
