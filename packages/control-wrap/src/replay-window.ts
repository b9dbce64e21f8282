import type { Instant } from '@openvpnd/sans-io';
import type { ReplayWindowOptions } from './control-wrap.js';

/** How often the age of seen ids is looked at. OpenVPN: SEQ_REAP_INTERVAL. */
const REAP_INTERVAL_MS = 5000;
const UNSEEN = Number.NEGATIVE_INFINITY;

/**
 * Which long packet ids a session may still receive. A packet is tested first and committed only after its tag was found
 * right. OpenVPN: packet_id_test(), packet_id_add(), packet_id_reap_test().
 */
export class ReplayWindow {
  readonly #packets: number;
  readonly #ageMs: number;
  #unixSeconds = 0;
  #highest = 0;
  /** Ids up to this one are barred: too old in time. */
  #barred = 0;
  /** When an id was seen, by id modulo the width. Made with the first packet: most wraps of a server see only one. */
  #seenAt: Float64Array | undefined;
  #nextReap = 0;

  constructor(options: ReplayWindowOptions) {
    this.#packets = options.packets;
    this.#ageMs = options.seconds * 1000;
  }

  /** Tells whether a packet may pass: neither seen nor too old. Forgets what has become too old, and changes nothing else. */
  test(now: Instant, id: number, unixSeconds: number): boolean {
    if (id === 0) return false;
    if (this.#highest === 0) return true;
    if (this.#packets === 0) {
      // In order only: a new series begins with 1.
      return unixSeconds === this.#unixSeconds ? id === this.#highest + 1 : unixSeconds > this.#unixSeconds && id === 1;
    }
    if (unixSeconds !== this.#unixSeconds) return unixSeconds > this.#unixSeconds;
    if (now >= this.#nextReap) this.#reap(now);
    if (id > this.#highest) return true;
    if (this.#highest - id >= this.#packets || id <= this.#barred) return false;
    return this.#seenAt![id % this.#packets] === UNSEEN;
  }

  /** Marks a packet as seen that has passed {@link test} at this `now`. */
  commit(now: Instant, id: number, unixSeconds: number): void {
    if (this.#packets > 0) {
      this.#seenAt ??= new Float64Array(this.#packets).fill(UNSEEN);
      if (unixSeconds !== this.#unixSeconds || id - this.#highest >= this.#packets) this.#seenAt.fill(UNSEEN);
      else
        for (let skipped = this.#highest + 1; skipped <= id; skipped++) this.#seenAt[skipped % this.#packets] = UNSEEN;
      this.#seenAt[id % this.#packets] = now;
    }
    if (unixSeconds !== this.#unixSeconds || this.#highest === 0) {
      this.#unixSeconds = unixSeconds;
      this.#highest = id;
      this.#barred = 0;
      this.#nextReap = now + REAP_INTERVAL_MS;
    } else if (id > this.#highest) {
      this.#highest = id;
    }
  }

  #reap(now: Instant): void {
    this.#nextReap = now + REAP_INTERVAL_MS;
    const lowest = Math.max(1, this.#highest - this.#packets + 1);
    for (let id = this.#highest; id >= lowest; id--) {
      const seenAt = this.#seenAt![id % this.#packets]!;
      if (seenAt !== UNSEEN && seenAt + this.#ageMs < now) {
        this.#barred = Math.max(this.#barred, id);
        return;
      }
    }
  }
}
