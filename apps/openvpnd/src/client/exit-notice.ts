import type { Instant } from '@openvpnd/sans-io';
import type { RunSignal } from '../host/signals.js';

/** Between two repetitions of an exit message. OpenVPN: process_explicit_exit_notification_timer_wakeup(). */
const INTERVAL_MS = 1000;

/** How often to say goodbye before this signal ends the tunnel: only for one that ends the process. */
export function exitNotices(signal: RunSignal, exitNotify: number): number {
  return signal === 'SIGTERM' || signal === 'SIGINT' ? exitNotify : 0;
}

/** A goodbye to the peer (`--explicit-exit-notify`) that is being said. OpenVPN: process_explicit_exit_notification_init(). */
export class ExitNotice {
  #remaining: number;
  #next: Instant;

  /**
   * @param count how often to say it
   * @param said it went over the control channel, which repeats it by itself: there is only as much time to wait
   */
  constructor(now: Instant, count: number, said: boolean) {
    this.#remaining = said ? 0 : count;
    this.#next = said ? now + count * INTERVAL_MS : now;
  }

  nextTimeout(): Instant {
    return this.#next;
  }

  /** What is to be done now: say it once more, or end, since it was said often enough. */
  step(now: Instant): 'nothing' | 'say' | 'end' {
    if (now < this.#next) return 'nothing';
    if (this.#remaining === 0) return 'end';
    this.#remaining -= 1;
    this.#next = now + INTERVAL_MS;
    return 'say';
  }
}
