import { type Instant, NEVER } from '@openvpnd/sans-io';
import type { Clock } from '../ports.js';

/** setTimeout counts in 32 bits: a longer delay would fire at once. */
const LONGEST_DELAY_MS = 2 ** 31 - 1;

/**
 * The clock of a process: monotonic milliseconds since it started, setTimeout and setImmediate. One for each event loop.
 *
 * A deadline that moves away, as that of a ping does with every packet, keeps the timer that runs: it fires early, once, and
 * is set anew for the rest. So nothing is allocated for it.
 */
export function nodeClock(): Clock {
  // Looked up once: the global of that name is a getter, which takes longer than the clock itself.
  const { performance } = globalThis;
  let timer: NodeJS.Timeout | undefined;
  let timerAt: Instant = NEVER;
  let deadline: Instant = NEVER;
  let fireAtDeadline: (() => void) | undefined;
  const pendingSoon = new Set<() => void>();

  function schedule(): void {
    timerAt = deadline;
    // Rounded up: setTimeout knows whole milliseconds, and earlier than the deadline is of no use.
    const delay = Math.ceil(deadline - performance.now());
    timer = setTimeout(onTimer, Math.min(Math.max(delay, 1), LONGEST_DELAY_MS));
  }

  function onTimer(): void {
    timer = undefined;
    timerAt = NEVER;
    if (deadline === NEVER) return;
    if (performance.now() < deadline) {
      schedule();
      return;
    }
    const fire = fireAtDeadline;
    deadline = NEVER;
    fireAtDeadline = undefined;
    fire?.();
  }

  return {
    now: () => performance.now(),
    arm(at: Instant, fire: () => void): void {
      deadline = at;
      fireAtDeadline = fire;
      if (at === NEVER) {
        clearTimeout(timer);
        timer = undefined;
        timerAt = NEVER;
      } else if (at < timerAt) {
        clearTimeout(timer);
        schedule();
      }
    },
    soon(fire: () => void): void {
      if (pendingSoon.has(fire)) return;
      pendingSoon.add(fire);
      setImmediate(() => {
        pendingSoon.delete(fire);
        fire();
      });
    },
  };
}
