import type { Instant, Random } from '@openvpnd/sans-io';
import { sipHash24 } from './siphash.js';

/** How many resets of strangers are answered. OpenVPN: --connect-freq-initial n sec. */
export interface ResetLimitOptions {
  /** Replies that all sources share in a period. */
  readonly replies: number;
  readonly periodSeconds: number;
  /**
   * Replies that each source prefix has for itself in a period, used before the shared ones. 0 leaves the shared ones
   * alone, as OpenVPN does: then a spoofed flood of some ten resets a second locks everybody out.
   */
  readonly repliesPerPrefix: number;
}

/**
 * OpenVPN's default of 100 shared replies in 10 s, and 8 for each prefix: more than an honest newcomer's retransmissions
 * in that time (at 0, 2 and 6 s), and for a victim of spoofing less than a packet a second.
 */
export const DEFAULT_RESET_LIMIT: ResetLimitOptions = { replies: 100, periodSeconds: 10, repliesPerPrefix: 8 };

/**
 * Counters of the prefix table, one byte each. At 5000 spoofed resets a second from everywhere a counter sees 0.8 of them
 * in a period on average, so a newcomer practically never meets a full one.
 */
export const PREFIX_COUNTERS = 65536;

const MAX_PER_PREFIX = 255;

/**
 * Decides which resets are answered. Its memory is a fixed table: nothing is kept for a source. Prefixes (/24 of IPv4,
 * /48 of IPv6: what one party usually holds) fall into the counters by a keyed hash, so nobody can aim at the counter of
 * another. OpenVPN: reflect_filter_rate_limit_check(), which has the shared part.
 */
export class ResetLimit {
  readonly #options: ResetLimitOptions;
  readonly #hashKey: Uint8Array = new Uint8Array(16);
  readonly #prefixCounters: Uint8Array = new Uint8Array(PREFIX_COUNTERS);
  #shared = 0;
  #periodEnd: Instant = Number.NEGATIVE_INFINITY;

  constructor(options: ResetLimitOptions, random: Random) {
    if (options.repliesPerPrefix < 0 || options.repliesPerPrefix > MAX_PER_PREFIX) {
      throw new RangeError(`repliesPerPrefix ${options.repliesPerPrefix}, allowed 0 … ${MAX_PER_PREFIX}`);
    }
    this.#options = options;
    random.fill(this.#hashKey);
  }

  /** Takes one reply for a reset from that address (the words of a LinkAddress), or tells that there is none left. */
  take(now: Instant, address: Uint32Array): boolean {
    if (now >= this.#periodEnd) {
      this.#periodEnd = now + this.#options.periodSeconds * 1000;
      this.#shared = 0;
      this.#prefixCounters.fill(0);
    }
    if (this.#options.repliesPerPrefix > 0) {
      const counter = this.#counterOf(address);
      if (this.#prefixCounters[counter]! < this.#options.repliesPerPrefix) {
        this.#prefixCounters[counter]!++;
        return true;
      }
    }
    if (this.#shared >= this.#options.replies) return false;
    this.#shared++;
    return true;
  }

  /** Gives a shared reply back: its receiver has shown that it is no victim. */
  giveBack(): void {
    if (this.#shared > 0) this.#shared--;
  }

  #counterOf(address: Uint32Array): number {
    // Words 2 … 5 of an address are the host, most significant first; IPv4 has word 2 alone.
    const [family = 0, , first = 0, second = 0] = address;
    const prefix = new Uint8Array(10);
    const view = new DataView(prefix.buffer);
    view.setUint16(0, family);
    if (family === 4) view.setUint32(2, first & 0xffff_ff00);
    else {
      view.setUint32(2, first);
      view.setUint32(6, second & 0xffff_0000);
    }
    const hash = sipHash24(this.#hashKey, prefix);
    return ((hash[0]! << 8) | hash[1]!) % PREFIX_COUNTERS;
  }
}
