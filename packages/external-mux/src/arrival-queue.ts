import { ADDRESS_LINK, ADDRESS_PORT, ADDRESS_WORDS, type LinkAddress, type PacketVector } from '@openvpnd/memory';
import type { Readiness } from './ports.js';

/** What an {@link ArrivalQueue} counts, in packets: its link's counters, of which it writes these. */
export interface ArrivalCounters {
  received: number;
  /** Dropped on arrival: the queue was full. */
  overflowed: number;
  /** Dropped: larger than a row of the vector, or empty. */
  oversized: number;
}

export interface ArrivalQueueOptions {
  /** Of the link. It becomes part of the address of every row. */
  readonly linkId: number;
  readonly counters: ArrivalCounters;
  /** Packets that may wait. Absent: the link stops what brings them. */
  readonly capacity?: number;
  /** Calls `fire` once this turn of the loop has delivered all that it has, so that the driver sees it as one batch. */
  readonly soon: (fire: () => void) => void;
  /** The same, for a driver that took nothing and is asked again. Absent: as `soon`. */
  readonly later?: (fire: () => void) => void;
}

/** Packets that were taken and are held still, at most: under a flood the queue may never be empty. */
const LET_GO_AFTER = 256;

interface Arrival {
  readonly packet: Uint8Array;
  readonly from: LinkAddress;
  readonly port: number;
}

/**
 * The receiving half of a link: packets that have arrived wait here for the driver, who is told of them and, once it has taken them all, of the link's
 * end. What brings packets (a socket, a stream, a simulated network) puts them in; the link hands its own `receiveBatch`, `watch`, `pause` and `resume` on.
 */
export class ArrivalQueue {
  readonly #linkId: number;
  readonly #counters: ArrivalCounters;
  readonly #capacity: number;
  readonly #soon: (fire: () => void) => void;
  readonly #later: (fire: () => void) => void;
  #arrivals: Arrival[] = [];
  /** Of `#arrivals`, what has been taken already. */
  #taken = 0;
  #readiness: Readiness | undefined;
  #paused = false;
  #closed = false;
  #announced = false;
  #askedAgain = false;
  #end: Error | undefined;

  constructor({ linkId, counters, capacity = Number.POSITIVE_INFINITY, soon, later = soon }: ArrivalQueueOptions) {
    this.#linkId = linkId;
    this.#counters = counters;
    this.#capacity = capacity;
    this.#soon = soon;
    this.#later = later;
  }

  /** Packets that wait. */
  get waiting(): number {
    return this.#arrivals.length - this.#taken;
  }

  /** The driver, for what else it has to be told; undefined when it is told nothing any more. */
  get watcher(): Readiness | undefined {
    return this.#readiness;
  }

  /** False once the link is at its end or closed. */
  get open(): boolean {
    return !this.#closed && this.#end === undefined;
  }

  /**
   * Puts a packet in, without telling of it.
   *
   * @param packet kept until it is taken, as is `from`
   * @param port where `from` has another or none
   * @returns false when it was dropped: it is empty, there is no room, or the link is over
   */
  push(packet: Uint8Array, from: LinkAddress, port: number = from[ADDRESS_PORT]): boolean {
    if (!this.open) return false;
    // A datagram may be empty; a packet may not.
    if (packet.length === 0) {
      this.#counters.oversized += 1;
      return false;
    }
    if (this.waiting >= this.#capacity) {
      this.#counters.overflowed += 1;
      return false;
    }
    this.#arrivals.push({ packet, from, port });
    return true;
  }

  /** The link is over; the driver is told why when it has taken all that arrived before. The first end counts. */
  end(reason: Error): void {
    if (this.open) this.#end = reason;
  }

  /** As `LinkSocket.receiveBatch`. */
  receiveBatch(rx: PacketVector): number {
    let rows = 0;
    while (this.#taken < this.#arrivals.length && rx.room > 0) {
      const { packet, from, port } = this.#arrivals[this.#taken];
      this.#taken += 1;
      const row = rx.appendCopy(packet);
      if (row < 0) {
        this.#counters.oversized += 1;
        continue;
      }
      const at = row * ADDRESS_WORDS;
      rx.addresses.set(from, at);
      rx.addresses[at + ADDRESS_PORT] = port;
      rx.addresses[at + ADDRESS_LINK] = this.#linkId;
      rows += 1;
    }
    if (this.#taken === this.#arrivals.length) this.#empty();
    else if (this.#taken >= LET_GO_AFTER) this.#letGo();
    this.#counters.received += rows;
    return rows;
  }

  watch(readiness: Readiness): void {
    this.#readiness = readiness;
    this.announce();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.announce();
  }

  close(): void {
    this.#closed = true;
    this.#readiness = undefined;
    this.#empty();
  }

  /** Tells the driver in a while: of everything that comes until then at once. */
  announce(): void {
    if (this.#announced || !this.#isNews) return;
    this.#announced = true;
    this.#soon(this.#offerAnnounced);
  }

  /** Tells the driver now; and again later, if it leaves anything. */
  offer(): void {
    if (!this.#isNews) return;
    const { waiting } = this;
    if (waiting > 0) this.#readiness?.readable();
    if (this.waiting === 0) this.#tellEnd();
    else if (this.waiting < waiting) this.announce();
    else this.#askAgain();
  }

  readonly #offerAnnounced = (): void => {
    this.#announced = false;
    this.offer();
  };

  readonly #offerAgain = (): void => {
    this.#askedAgain = false;
    this.offer();
  };

  #askAgain(): void {
    if (this.#askedAgain || !this.#isNews) return;
    this.#askedAgain = true;
    this.#later(this.#offerAgain);
  }

  get #isNews(): boolean {
    return !this.#paused && this.#readiness !== undefined && (this.waiting > 0 || this.#end !== undefined);
  }

  #tellEnd(): void {
    if (this.#end === undefined || this.#readiness === undefined) return;
    const readiness = this.#readiness;
    this.#readiness = undefined;
    readiness.failed(this.#end);
  }

  #letGo(): void {
    this.#arrivals.splice(0, this.#taken);
    this.#taken = 0;
  }

  #empty(): void {
    this.#arrivals = [];
    this.#taken = 0;
  }
}
