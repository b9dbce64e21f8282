import type { LinkSocket, Readiness } from '@openvpnd/external-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';

/** Packets that wait in a simulated socket before it drops: about what a default receive buffer holds. */
export const SIM_RECEIVE_QUEUE_PACKETS = 256;
/** The largest UDP payload over IPv4. */
const LARGEST_DATAGRAM_BYTES = 65_507;

/** What happened on a {@link SimLink}, in packets. */
export interface SimLinkCounters {
  sent: number;
  received: number;
  /** Dropped on arrival: the queue was full. */
  overflowed: number;
  /** Dropped on receipt: larger than a row of the vector. */
  oversized: number;
  /** Sends that went nowhere: the link was closed, stalled (single packets) or the packet impossible. */
  unsent: number;
}

/** What a link needs of the network around it. */
export interface SimLinkHost {
  soon(fire: () => void): void;
  /** Calls `fire` a millisecond later. */
  later(fire: () => void): void;
  /** Takes one packet, copying it. `to` is borrowed. */
  transmit(from: SimLink, packet: Uint8Array, to: LinkAddress): void;
  closed(link: SimLink): void;
}

interface Arrived {
  readonly packet: Uint8Array;
  readonly from: LinkAddress;
}

/** A {@link LinkSocket} of a simulated network. Made by `SimNetwork.openLink` and `openStream`. */
export class SimLink implements LinkSocket {
  readonly id: number;
  readonly protocol: 'udp' | 'tcp';
  readonly counters: SimLinkCounters = { sent: 0, received: 0, overflowed: 0, oversized: 0, unsent: 0 };
  readonly #host: SimLinkHost;
  readonly #local: LinkAddress;
  readonly #queuePackets: number;
  #queue: Arrived[] = [];
  #readiness: Readiness | undefined;
  #paused = false;
  #closed = false;
  #stalled = false;
  #refused = false;

  constructor(options: {
    readonly id: number;
    readonly protocol: 'udp' | 'tcp';
    readonly host: SimLinkHost;
    readonly local: LinkAddress;
    readonly queuePackets?: number;
  }) {
    this.id = options.id;
    this.protocol = options.protocol;
    this.#host = options.host;
    this.#local = options.local.slice();
    this.#local[ADDRESS_LINK] = this.id;
    this.#queuePackets = options.queuePackets ?? SIM_RECEIVE_QUEUE_PACKETS;
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#closed;
  }

  receiveBatch(rx: PacketVector): number {
    let taken = 0;
    let rows = 0;
    while (taken < this.#queue.length && rx.room > 0) {
      const { packet, from } = this.#queue[taken];
      taken += 1;
      const row = rx.appendCopy(packet);
      if (row < 0) {
        this.counters.oversized += 1;
        continue;
      }
      rx.addresses.set(from, row * ADDRESS_WORDS);
      rx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = this.id;
      this.counters.received += 1;
      rows += 1;
    }
    this.#queue.splice(0, taken);
    return rows;
  }

  sendBatch(tx: PacketVector): boolean {
    for (let row = 0; row < tx.count; row += 1) {
      if (tx.fate[row] !== FATE_TO_LINK) continue;
      const at = row * ADDRESS_WORDS;
      if (tx.addresses[at + ADDRESS_LINK] !== this.id) continue;
      if (this.#stalled && !this.#closed) {
        this.#refused = true;
        return false;
      }
      this.#transmit(tx.packet(row), tx.addresses.subarray(at, at + ADDRESS_WORDS));
      tx.fate[row] = FATE_DROPPED;
    }
    return true;
  }

  send(packet: Uint8Array, to: LinkAddress): void {
    if (this.#stalled) this.counters.unsent += 1;
    else this.#transmit(packet, to);
  }

  watch(readiness: Readiness): void {
    this.#readiness = readiness;
    this.#announce();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    this.#announce();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#host.closed(this);
  }

  /** For a test: the socket takes nothing until `unstall`, as with a full send buffer. */
  stall(): void {
    this.#stalled = true;
  }

  unstall(): void {
    this.#stalled = false;
    if (!this.#refused) return;
    this.#refused = false;
    this.#host.soon(() => {
      if (!this.#closed) this.#readiness?.writable();
    });
  }

  /** For a test: the socket breaks, as when its interface vanishes. */
  fail(error: Error): void {
    this.#host.soon(() => {
      if (!this.#closed) this.#readiness?.failed(error);
    });
  }

  /** For the network: a packet has come. Takes ownership of both arrays. */
  deliver(packet: Uint8Array, from: LinkAddress): void {
    if (this.#closed) return;
    // A datagram may be empty; a packet may not.
    if (packet.length === 0) {
      this.counters.oversized += 1;
      return;
    }
    if (this.#queue.length >= this.#queuePackets) {
      this.counters.overflowed += 1;
      return;
    }
    this.#queue.push({ packet, from });
    this.#announce();
  }

  #transmit(packet: Uint8Array, to: LinkAddress): void {
    if (this.#closed || packet.length > LARGEST_DATAGRAM_BYTES) {
      this.counters.unsent += 1;
      return;
    }
    this.counters.sent += 1;
    this.#host.transmit(this, packet, to);
  }

  // One function object, so that the clock can tell that it is asked for already.
  readonly #offer: () => void = () => {
    if (this.#closed || this.#paused || this.#queue.length === 0) return;
    const waiting = this.#queue.length;
    this.#readiness?.readable();
    // Whoever took nothing is asked again when time has passed: virtual time must not stand still.
    if (this.#queue.length >= waiting) this.#host.later(this.#offer);
    else this.#announce();
  };

  #announce(): void {
    if (this.#readiness && !this.#paused && this.#queue.length > 0) this.#host.soon(this.#offer);
  }
}
