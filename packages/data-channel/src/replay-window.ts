import type { Instant } from '@openvpnd/sans-io';

/** `--replay-window n t`. */
export interface ReplayWindowOptions {
  /** How far behind the newest id a late packet may be: 0 … 65536. With 0 each packet must follow the one before it. */
  readonly packets: number;
  /** A packet older than one that arrived more than this ago is refused: 0 … 600 s; 0 for no such limit. */
  readonly seconds: number;
}

/** OpenVPN: DEFAULT_SEQ_BACKTRACK, DEFAULT_TIME_BACKTRACK. */
export const DEFAULT_REPLAY_WINDOW: ReplayWindowOptions = { packets: 64, seconds: 15 };

/** The largest window that the option allows; it takes 8 KiB a key. OpenVPN: MAX_SEQ_BACKTRACK. */
export const MAX_REPLAY_WINDOW_PACKETS = 65536;

/** What {@link ReplayWindow.accept} says: 0 is yes, the rest are reasons. */
export type ReplayVerdict = 0 | 1 | 2 | 3;
export const REPLAY_ACCEPTED = 0;
/** The id 0, which no sender uses. */
export const REPLAY_ZERO = 1;
/** The id was seen before. */
export const REPLAY_SEEN = 2;
/** Too far behind: by number, by time, or of an older series; or out of order where none is allowed. */
export const REPLAY_TOO_OLD = 3;

/** How often the barrier of age moves. OpenVPN: SEQ_REAP_INTERVAL. */
const CHECKPOINT_MS = 5000;

/**
 * The ids that were received under one key: a ring of bits below the highest id. Ids are whole numbers up to 2^48 − 1. Ask it only about
 * packets that are authentic: it remembers every id that it accepts.
 *
 * Long ids (static key mode) come with the sender's time: a newer time starts a new series, an older one is refused.
 *
 * OpenVPN: packet_id_test(), packet_id_add(), packet_id_reap(). There each id carries its time of arrival, and the first old one bars all
 * below it; that one is the id which was highest `seconds` ago, so it is enough to remember what was highest when.
 */
export class ReplayWindow {
  readonly #packets: number;
  readonly #ageMs: number;
  readonly #mask: number;
  readonly #bits: Uint32Array;
  #highest = 0;
  /** When `#highest` arrived. */
  #highestAt: Instant = 0;
  #seriesTime = 0;
  /** Ids that were highest, with the time at which they became so; a ring, oldest first. */
  readonly #checkpointIds: Float64Array;
  readonly #checkpointTimes: Float64Array;
  #checkpointCount = 0;
  #checkpointNext = 0;
  /** Nothing at or below this is accepted any more. */
  #barrier = 0;

  constructor(options: ReplayWindowOptions = DEFAULT_REPLAY_WINDOW) {
    const { packets, seconds } = options;
    if (!Number.isInteger(packets) || packets < 0 || packets > MAX_REPLAY_WINDOW_PACKETS) {
      throw new RangeError(`a replay window has 0 to ${MAX_REPLAY_WINDOW_PACKETS} packets`);
    }
    if (!(seconds >= 0 && seconds <= 600)) throw new RangeError('a replay window lasts 0 to 600 seconds');
    this.#packets = packets;
    this.#ageMs = seconds * 1000;
    let ring = 32;
    while (ring < packets) ring *= 2;
    this.#mask = ring - 1;
    this.#bits = new Uint32Array(ring / 32);
    // At most two notes fall into any five seconds.
    const checkpoints = seconds === 0 ? 0 : 2 * Math.ceil(this.#ageMs / CHECKPOINT_MS) + 2;
    this.#checkpointIds = new Float64Array(checkpoints);
    this.#checkpointTimes = new Float64Array(checkpoints);
  }

  /** The highest id that was accepted; 0 before the first. */
  get highest(): number {
    return this.#highest;
  }

  /** Whether ids may be left out: any above the highest is fresh. */
  get allowsGaps(): boolean {
    return this.#packets > 0;
  }

  /** Whether an authentic packet with this id is fresh; if so it is remembered. `seriesTime`: seconds, of a long id. */
  accept(now: Instant, id: number, seriesTime = 0): ReplayVerdict {
    if (id === 0) return REPLAY_ZERO;
    if (seriesTime !== this.#seriesTime) {
      if (seriesTime < this.#seriesTime || (this.#packets === 0 && id !== 1)) return REPLAY_TOO_OLD;
      this.#startSeries(seriesTime);
    }
    if (this.#packets === 0) return this.#acceptInOrder(id);
    if (id > this.#highest) {
      this.#raise(now, id);
      return REPLAY_ACCEPTED;
    }
    if (this.#highest - id >= this.#packets) return REPLAY_TOO_OLD;
    const bit = 1 << (id & 31);
    const word = (id & this.#mask) >>> 5;
    if ((this.#bits[word] & bit) !== 0) return REPLAY_SEEN;
    if (this.#ageMs !== 0 && id <= this.#barrierAt(now)) return REPLAY_TOO_OLD;
    this.#bits[word] |= bit;
    return REPLAY_ACCEPTED;
  }

  #acceptInOrder(id: number): ReplayVerdict {
    if (this.#highest !== 0 && id !== this.#highest + 1) return id <= this.#highest ? REPLAY_SEEN : REPLAY_TOO_OLD;
    this.#highest = id;
    return REPLAY_ACCEPTED;
  }

  #startSeries(seriesTime: number): void {
    this.#seriesTime = seriesTime;
    this.#highest = 0;
    this.#barrier = 0;
    this.#checkpointCount = 0;
    this.#checkpointNext = 0;
    this.#bits.fill(0);
  }

  #raise(now: Instant, id: number): void {
    if (this.#ageMs !== 0 && this.#highest !== 0) this.#checkpoint(now);
    const gap = id - this.#highest;
    if (gap > this.#mask) {
      this.#bits.fill(0);
    } else {
      for (let passed = this.#highest + 1; passed < id; passed++) {
        this.#bits[(passed & this.#mask) >>> 5] &= ~(1 << (passed & 31));
      }
    }
    this.#bits[(id & this.#mask) >>> 5] |= 1 << (id & 31);
    this.#highest = id;
    this.#highestAt = now;
  }

  /** Notes the highest id before it is replaced, unless the last note is fresh. */
  #checkpoint(now: Instant): void {
    const size = this.#checkpointIds.length;
    if (this.#checkpointCount > 0) {
      const last = (this.#checkpointNext + size - 1) % size;
      if (now - this.#checkpointTimes[last] < CHECKPOINT_MS) return;
    }
    this.#checkpointIds[this.#checkpointNext] = this.#highest;
    this.#checkpointTimes[this.#checkpointNext] = this.#highestAt;
    this.#checkpointNext = (this.#checkpointNext + 1) % size;
    if (this.#checkpointCount < size) this.#checkpointCount += 1;
  }

  /** The id that was the highest `ageMs` ago, as far as the notes tell. */
  #barrierAt(now: Instant): number {
    const limit = now - this.#ageMs;
    if (this.#highestAt < limit) return this.#highest;
    const size = this.#checkpointIds.length;
    for (let back = 1; back <= this.#checkpointCount; back++) {
      const index = (this.#checkpointNext + size - back) % size;
      if (this.#checkpointTimes[index] < limit) {
        this.#barrier = Math.max(this.#barrier, this.#checkpointIds[index]);
        break;
      }
    }
    return this.#barrier;
  }
}
