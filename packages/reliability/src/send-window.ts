import { earliest, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import { idAfter, idDistance, isBefore, type MessageId } from './message-id.js';
import { type RetransmitTiming, RoundTripEstimate } from './retransmit-timing.js';

/** Acks of later ids after which a message counts as lost. OpenVPN: N_ACK_RETRANSMIT. */
const LATER_ACKS_UNTIL_LOST = 3;

/** A message on its way out. `attempt` is 1 the first time. */
export interface Outgoing<M> {
  readonly id: MessageId;
  /** The object given to send(): not copied. It must not change until it is acknowledged. */
  readonly message: M;
  readonly attempt: number;
}

interface Unacked<M> {
  readonly id: MessageId;
  readonly message: M;
  attempt: number;
  sentAt: Instant;
  nextTry: Instant;
  timeoutMs: number;
  laterAcks: number;
}

/** Messages that the peer did not acknowledge yet, oldest first, and when each is due. */
export class SendWindow<M> {
  readonly #size: number;
  readonly #roundTrip: RoundTripEstimate;
  readonly #log: Log;
  readonly #followProgress: boolean;
  #nextId: MessageId;
  #unacked: Unacked<M>[] = [];

  constructor(size: number, firstId: MessageId, timing: RetransmitTiming, log: Log) {
    this.#size = size;
    this.#nextId = firstId;
    this.#roundTrip = new RoundTripEstimate(timing);
    this.#followProgress = timing.measureRoundTrip;
    this.#log = log;
  }

  get empty(): boolean {
    return this.#unacked.length === 0;
  }

  /**
   * Messages that may still be added. The window is counted in ids from the oldest unacknowledged one on, since the
   * peer can buffer no further. OpenVPN: reliable_get_num_output_sequenced_available().
   */
  get available(): number {
    const oldest = this.#unacked[0];
    return oldest === undefined ? this.#size : Math.max(0, this.#size - idDistance(oldest.id, this.#nextId));
  }

  add(now: Instant, message: M): MessageId {
    if (this.available === 0) {
      throw new RangeError('the send window is full: ask canSend() first');
    }
    const id = this.#nextId;
    this.#nextId = idAfter(id, 1);
    const timeoutMs = this.#roundTrip.timeoutMs;
    this.#unacked.push({ id, message, attempt: 0, sentAt: now, nextTry: now, timeoutMs, laterAcks: 0 });
    return id;
  }

  handleAcks(now: Instant, ids: readonly MessageId[]): void {
    // An id that was never sent says nothing, whoever made it up.
    const sent = ids.filter((id) => isBefore(id, this.#nextId));
    const before = this.#unacked.length;
    this.#unacked = this.#unacked.filter((entry) => {
      if (entry.attempt === 0 || !sent.includes(entry.id)) {
        return true;
      }
      // Only a message sent once tells which of its copies was answered (Karn).
      if (entry.attempt === 1) {
        this.#roundTrip.measured(now - entry.sentAt);
      }
      return false;
    });
    const progress = this.#unacked.length < before;
    for (const entry of this.#unacked) {
      if (entry.attempt > 0) {
        this.#countLaterAcks(now, entry, sent);
        if (progress && this.#followProgress) {
          this.#forgetBackOff(now, entry);
        }
      }
    }
  }

  /** The oldest message that is due, marked as sent now. */
  takeDue(now: Instant): Outgoing<M> | undefined {
    const entry = this.#unacked.find((candidate) => candidate.nextTry <= now);
    if (entry === undefined) {
      return undefined;
    }
    entry.attempt += 1;
    entry.sentAt = now;
    entry.nextTry = now + entry.timeoutMs;
    entry.timeoutMs = this.#roundTrip.backOff(entry.timeoutMs);
    entry.laterAcks = 0;
    if (entry.attempt > 1) {
      this.#log.debug('reliability.retransmit', { messageId: entry.id, attempt: entry.attempt });
    }
    return { id: entry.id, message: entry.message, attempt: entry.attempt };
  }

  /** Everything is due now, with fresh timers. OpenVPN: reliable_schedule_now(). */
  rescheduleAll(now: Instant): void {
    for (const entry of this.#unacked) {
      entry.nextTry = now;
      entry.timeoutMs = this.#roundTrip.timeoutMs;
    }
  }

  nextTimeout(): Instant {
    return this.#unacked.reduce((soonest, entry) => earliest(soonest, entry.nextTry), NEVER);
  }

  clear(): void {
    this.#unacked = [];
  }

  /** Repeated acks count as well: they come with every packet that arrives, and this message should have been among them. */
  #countLaterAcks(now: Instant, entry: Unacked<M>, acked: readonly MessageId[]): void {
    for (const id of acked) {
      if (isBefore(entry.id, id)) {
        entry.laterAcks += 1;
      }
    }
    if (entry.laterAcks >= LATER_ACKS_UNTIL_LOST) {
      entry.nextTry = earliest(entry.nextTry, now);
    }
  }

  /** The path works again, so long pauses from before mean nothing any more. RFC 6298, rule 5.3. */
  #forgetBackOff(now: Instant, entry: Unacked<M>): void {
    entry.nextTry = earliest(entry.nextTry, now + this.#roundTrip.timeoutMs);
    entry.timeoutMs = Math.min(entry.timeoutMs, this.#roundTrip.backOff(this.#roundTrip.timeoutMs));
  }
}
