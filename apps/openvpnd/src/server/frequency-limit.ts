import type { Frequency } from '@openvpnd/config';
import type { Instant } from '@openvpnd/sans-io';

/** So many events in each period, which begins with the first event after the one before. OpenVPN: frequency_limit_event_allowed(). */
export class FrequencyLimit {
  readonly #frequency: Frequency;
  #periodEnd: Instant = Number.NEGATIVE_INFINITY;
  #count = 0;

  constructor(frequency: Frequency) {
    this.#frequency = frequency;
  }

  /** Takes one, or tells that there is none left. */
  take(now: Instant): boolean {
    if (now >= this.#periodEnd) {
      this.#periodEnd = now + this.#frequency.seconds * 1000;
      this.#count = 0;
    }
    if (this.#count >= this.#frequency.count) return false;
    this.#count += 1;
    return true;
  }
}
