/** The last packet id of a key. OpenVPN: packet_id_send_update(). */
export const LAST_PACKET_ID = 0xffff_ffff;
/** From here on the key is to be replaced. OpenVPN: PACKET_ID_WRAP_TRIGGER. */
export const PACKET_ID_WRAP_TRIGGER = 0xff00_0000;

/**
 * The packet ids that one key gives out: 1, 2, … and none twice. A short id ends at {@link LAST_PACKET_ID}. A long one comes with the time
 * of its series, and a later second starts a new series. OpenVPN: packet_id_write().
 */
export class PacketIdCounter {
  readonly #long: boolean;
  #id: number;
  #seriesTime: number;

  /** `last`: for tests, what was given out last. */
  constructor(
    form: 'short' | 'long',
    last: { readonly id: number; readonly seriesTime: number } = { id: 0, seriesTime: 0 },
  ) {
    this.#long = form === 'long';
    this.#id = last.id;
    this.#seriesTime = last.seriesTime;
  }

  /** The id that was given out last; 0 before the first. */
  get id(): number {
    return this.#id;
  }

  /** Unix seconds at which the series began; 0 for short ids. */
  get seriesTime(): number {
    return this.#seriesTime;
  }

  /** Gives out the next id; false when there is none. `seconds`: Unix time, for long ids. */
  advance(seconds: number): boolean {
    if (this.#long && this.#seriesTime === 0) this.#seriesTime = seconds;
    if (this.#id < LAST_PACKET_ID) {
      this.#id += 1;
      return true;
    }
    if (!this.#long || seconds <= this.#seriesTime) return false;
    this.#seriesTime = seconds;
    this.#id = 1;
    return true;
  }
}
