import { type ArrivalCounters, ArrivalQueue, type LinkSocket, type Readiness } from '@openvpnd/external-mux';
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
export interface SimLinkCounters extends ArrivalCounters {
  sent: number;
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

/** A {@link LinkSocket} of a simulated network. Made by `SimNetwork.openLink` and `openStream`. */
export class SimLink implements LinkSocket {
  readonly id: number;
  readonly protocol: 'udp' | 'tcp';
  readonly counters: SimLinkCounters = { sent: 0, received: 0, overflowed: 0, oversized: 0, unsent: 0 };
  readonly #host: SimLinkHost;
  readonly #local: LinkAddress;
  readonly #arrivals: ArrivalQueue;
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
    this.#arrivals = new ArrivalQueue({
      linkId: this.id,
      counters: this.counters,
      capacity: options.queuePackets ?? SIM_RECEIVE_QUEUE_PACKETS,
      soon: (fire) => this.#host.soon(fire),
      // Virtual time must not stand still.
      later: (fire) => this.#host.later(fire),
    });
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  /** Whether `close` was called. */
  get isClosed(): boolean {
    return this.#closed;
  }

  receiveBatch(rx: PacketVector): number {
    return this.#arrivals.receiveBatch(rx);
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
    this.#arrivals.watch(readiness);
  }

  pause(): void {
    this.#arrivals.pause();
  }

  resume(): void {
    this.#arrivals.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#arrivals.close();
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
      this.#arrivals.watcher?.writable();
    });
  }

  /** For a test: the socket breaks, as when its interface vanishes. */
  fail(error: Error): void {
    this.#host.soon(() => {
      this.#arrivals.watcher?.failed(error);
    });
  }

  /** For the network: a packet has come. Takes ownership of both arrays. */
  deliver(packet: Uint8Array, from: LinkAddress): void {
    if (this.#arrivals.push(packet, from)) this.#arrivals.announce();
  }

  #transmit(packet: Uint8Array, to: LinkAddress): void {
    if (this.#closed || packet.length > LARGEST_DATAGRAM_BYTES) {
      this.counters.unsent += 1;
      return;
    }
    this.counters.sent += 1;
    this.#host.transmit(this, packet, to);
  }
}
