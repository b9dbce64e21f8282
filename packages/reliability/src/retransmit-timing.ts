/** When a message that was not acknowledged is sent again. All times in milliseconds. */
export interface RetransmitTiming {
  /** Wait before the first retransmission while no round trip was measured; above 0. */
  readonly initialTimeoutMs: number;
  /** No wait is shorter, however fast the path looks. The peer may take this long to answer without a fault. */
  readonly minTimeoutMs: number;
  /** Each wait for the same message is twice the one before, up to this. Infinity: no end to the doubling. */
  readonly maxTimeoutMs: number;
  /** Whether the wait follows the measured round trip. */
  readonly measureRoundTrip: boolean;
}

/** What OpenVPN does: 2 s (`--tls-timeout`), doubling without end, whatever the path is like. */
export const OPENVPN_TIMING: RetransmitTiming = {
  initialTimeoutMs: 2000,
  minTimeoutMs: 2000,
  maxTimeoutMs: Number.POSITIVE_INFINITY,
  measureRoundTrip: false,
};

/**
 * Faster on the same wire: starts at half a second, follows the measured round trip and never waits more than 4 s.
 * With three of ten packets lost it is the long pauses of {@link OPENVPN_TIMING} that cost a handshake its time.
 */
export const MEASURED_TIMING: RetransmitTiming = {
  initialTimeoutMs: 500,
  minTimeoutMs: 200,
  maxTimeoutMs: 4000,
  measureRoundTrip: true,
};

/** The retransmission timeout of a path, estimated from round trips. RFC 6298, section 2. */
export class RoundTripEstimate {
  readonly #timing: RetransmitTiming;
  #smoothed = 0;
  #variation = 0;
  #timeoutMs: number;

  constructor(timing: RetransmitTiming) {
    this.#timing = timing;
    this.#timeoutMs = timing.initialTimeoutMs;
  }

  /** The wait before a first retransmission, now. */
  get timeoutMs(): number {
    return this.#timeoutMs;
  }

  /** The wait that follows one of `timeoutMs` for the same message. */
  backOff(timeoutMs: number): number {
    return Math.min(timeoutMs * 2, Math.max(this.#timing.maxTimeoutMs, this.#timing.initialTimeoutMs));
  }

  /** A message that was sent once only was acknowledged after `elapsedMs`. Nothing happens where timing is not measured. */
  measured(elapsedMs: number): void {
    if (!this.#timing.measureRoundTrip) {
      return;
    }
    const sample = Math.max(0, elapsedMs);
    if (this.#smoothed === 0) {
      this.#smoothed = sample;
      this.#variation = sample / 2;
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - sample);
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * sample;
    }
    const estimate = this.#smoothed + 4 * this.#variation;
    this.#timeoutMs = Math.min(Math.max(estimate, this.#timing.minTimeoutMs), this.#timing.maxTimeoutMs);
  }
}
