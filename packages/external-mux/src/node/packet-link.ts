import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { type ArrivalCounters, ArrivalQueue } from '../arrival-queue.js';
import { LinkError } from '../link-error.js';
import type { PacketCarrier, PacketFeed } from '../link-maker.js';
import type { LinkSocket, Readiness } from '../ports.js';

/** Packets that wait for the driver before the carrier is paused; twice as many may wait where it cannot be. */
export const PACKET_QUEUE = 256;

export interface PacketLinkSettings {
  readonly id: number;
  readonly protocol: 'udp' | 'tcp';
  /** Words of this end, and of the other. Not copied; both are given the link's id. */
  readonly local: LinkAddress;
  readonly remote: LinkAddress;
  readonly carrier: (feed: PacketFeed) => PacketCarrier;
  /** What a full carrier does to data. `drop`: loses it; `refuse`: holds up who sends. */
  readonly whenFull: 'drop' | 'refuse';
}

/** What happened on a {@link PacketLink}, in packets. */
export interface PacketLinkCounters extends ArrivalCounters {
  sent: number;
  /** Not sent: the carrier was full or gone, or the packet is none. */
  unsent: number;
}

/** A link to one peer on something that carries whole packets. */
export class PacketLink implements LinkSocket {
  readonly id: number;
  readonly protocol: 'udp' | 'tcp';
  readonly counters: PacketLinkCounters = { sent: 0, received: 0, overflowed: 0, oversized: 0, unsent: 0 };
  readonly #local: LinkAddress;
  readonly #remote: LinkAddress;
  readonly #carrier: PacketCarrier;
  readonly #drops: boolean;
  readonly #arrivals: ArrivalQueue;
  #carrierPaused = false;
  #closed = false;
  #refused = false;

  constructor({ id, protocol, local, remote, carrier, whenFull }: PacketLinkSettings) {
    this.id = id;
    this.protocol = protocol;
    this.#local = local;
    this.#remote = remote;
    local[ADDRESS_LINK] = id;
    remote[ADDRESS_LINK] = id;
    this.#drops = whenFull === 'drop';
    const { counters } = this;
    this.#arrivals = new ArrivalQueue({ linkId: id, counters, capacity: 2 * PACKET_QUEUE, soon: setImmediate });
    this.#carrier = carrier({
      packet: (bytes) => this.#arrive(bytes),
      room: () => this.#room(),
      end: (error) => this.#finish(error),
    });
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  receiveBatch(rx: PacketVector): number {
    const rows = this.#arrivals.receiveBatch(rx);
    if (this.#carrierPaused && this.#open && this.#arrivals.waiting === 0) {
      this.#carrierPaused = false;
      this.#carrier.resume?.();
    }
    return rows;
  }

  sendBatch(tx: PacketVector): boolean {
    for (let row = 0; row < tx.count; row += 1) {
      if (tx.fate[row] !== FATE_TO_LINK || tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] !== this.id) continue;
      if (this.#open && this.#carrier.full && !this.#drops) {
        this.#refused = true;
        return false;
      }
      this.send(tx.packet(row));
      tx.fate[row] = FATE_DROPPED;
    }
    return true;
  }

  send(packet: Uint8Array): void {
    if (!this.#open || this.#carrier.full || packet.length === 0 || packet.length > 0xffff) {
      this.counters.unsent += 1;
      return;
    }
    this.counters.sent += 1;
    this.#carrier.send(packet);
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
    this.#carrier.close();
  }

  get #open(): boolean {
    return this.#arrivals.open;
  }

  #arrive(packet: Uint8Array): void {
    if (!this.#arrivals.push(packet, this.#remote)) return;
    if (this.#arrivals.waiting >= PACKET_QUEUE && !this.#carrierPaused && this.#carrier.pause !== undefined) {
      this.#carrierPaused = true;
      this.#carrier.pause();
    }
    this.#arrivals.announce();
  }

  #room(): void {
    if (!this.#refused || !this.#open) return;
    this.#refused = false;
    this.#arrivals.watcher?.writable();
  }

  #finish(error: Error): void {
    if (!this.#open) return;
    const end = error instanceof LinkError ? error : new LinkError('ERR_LINK_RESET', 'EOF', error.message, error);
    this.#arrivals.end(end);
    this.#arrivals.announce();
  }
}
