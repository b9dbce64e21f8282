import type { MessageId } from './message-id.js';

/** Ids that the most-recently-used list remembers. OpenVPN: RELIABLE_ACK_SIZE. */
const MAX_RECENT_ACKS = 8;

/**
 * Acknowledgements on their way to the peer: those not sent yet, and the few sent last, which go out again with every
 * packet because the packet that carried them may be lost.
 *
 * OpenVPN: copy_acks_to_mru(), reliable_ack_write().
 */
export class AckList {
  readonly #maxPending: number;
  #pending: MessageId[] = [];
  #recent: MessageId[] = [];

  /** `maxPending`: acks kept for later, a positive integer. Above it the oldest is forgotten; the peer retransmits. */
  constructor(maxPending: number) {
    this.#maxPending = maxPending;
  }

  /** Whether an ack waits that was not in a packet since it was last asked for. */
  get pending(): boolean {
    return this.#pending.length > 0;
  }

  /** Notes that `id` is to be acknowledged. */
  add(id: MessageId): void {
    if (this.#pending.includes(id)) {
      return;
    }
    if (this.#pending.length === this.#maxPending) {
      this.#pending.shift();
    }
    this.#pending.push(id);
  }

  /**
   * Removes up to `max` waiting acks and returns what the next packet carries: these first, in order of arrival, then
   * recent ones again, `max` at most in all. Empty only if nothing was ever received or `max` is 0.
   */
  take(max: number): MessageId[] {
    const fresh = this.#pending.slice(0, max);
    // Made anew, since an array that has shrunk keeps its room.
    this.#pending = this.#pending.slice(max);
    this.#recent = [...fresh, ...this.#recent.filter((id) => !fresh.includes(id))].slice(0, MAX_RECENT_ACKS);
    return this.#recent.slice(0, max);
  }
}
