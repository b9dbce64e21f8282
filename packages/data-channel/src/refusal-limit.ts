import type { Instant } from '@openvpnd/sans-io';

/** Between two signals of one peer. */
const PEER_INTERVAL_MS = 1000;
/** Signals of all peers in a second. */
const SIGNALS_PER_SECOND = 16;

/**
 * Decides which refused packets are told of: one a second of each peer, and not too many of all of them. The others are counted, and their
 * number comes with the next that is told.
 */
export class RefusalLimit {
  readonly #lastAt: Float64Array;
  readonly #since: Float64Array;
  #secondFrom: Instant = Number.NEGATIVE_INFINITY;
  #inSecond = 0;

  constructor(maxPeers: number) {
    this.#lastAt = new Float64Array(maxPeers).fill(Number.NEGATIVE_INFINITY);
    this.#since = new Float64Array(maxPeers);
  }

  /** Counts a packet. @returns how many there were since the last that was told of, or 0 when nothing is to be told now */
  count(now: Instant, slot: number): number {
    this.#since[slot] += 1;
    if (now - this.#lastAt[slot] < PEER_INTERVAL_MS) return 0;
    if (now - this.#secondFrom >= 1000) {
      this.#secondFrom = now;
      this.#inSecond = 0;
    }
    if (this.#inSecond === SIGNALS_PER_SECOND) return 0;
    this.#inSecond += 1;
    this.#lastAt[slot] = now;
    const packets = this.#since[slot];
    this.#since[slot] = 0;
    return packets;
  }

  /** The slot belongs to another peer now. */
  clear(slot: number): void {
    this.#lastAt[slot] = Number.NEGATIVE_INFINITY;
    this.#since[slot] = 0;
  }
}
