import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
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
export interface PacketLinkCounters {
  sent: number;
  received: number;
  /** Dropped on arrival: the queue was full. */
  overflowed: number;
  /** Dropped on receipt: larger than a row of the vector. */
  oversized: number;
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
  #arrived: Uint8Array[] = [];
  /** Of `#arrived`, what has been taken already. */
  #taken = 0;
  #carrierPaused = false;
  #readiness: Readiness | undefined;
  #paused = false;
  #closed = false;
  #announced = false;
  #refused = false;
  /** Why it is over; told once all that arrived before has been taken. */
  #end: Error | undefined;

  constructor({ id, protocol, local, remote, carrier, whenFull }: PacketLinkSettings) {
    this.id = id;
    this.protocol = protocol;
    this.#local = local;
    this.#remote = remote;
    local[ADDRESS_LINK] = id;
    remote[ADDRESS_LINK] = id;
    this.#drops = whenFull === 'drop';
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
    let rows = 0;
    while (this.#taken < this.#arrived.length && rx.room > 0) {
      const row = rx.appendCopy(this.#arrived[this.#taken]);
      this.#taken += 1;
      if (row < 0) {
        this.counters.oversized += 1;
        continue;
      }
      rx.addresses.set(this.#remote, row * ADDRESS_WORDS);
      rows += 1;
    }
    if (this.#taken === this.#arrived.length) {
      this.#arrived = [];
      this.#taken = 0;
      if (this.#carrierPaused && this.#open) {
        this.#carrierPaused = false;
        this.#carrier.resume?.();
      }
    }
    this.counters.received += rows;
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
    this.#arrived = [];
    this.#taken = 0;
    this.#carrier.close();
  }

  get #open(): boolean {
    return !this.#closed && this.#end === undefined;
  }

  #arrive(packet: Uint8Array): void {
    if (!this.#open || packet.length === 0) return;
    const waiting = this.#arrived.length - this.#taken;
    if (waiting >= 2 * PACKET_QUEUE) {
      this.counters.overflowed += 1;
      return;
    }
    this.#arrived.push(packet);
    if (waiting + 1 >= PACKET_QUEUE && !this.#carrierPaused && this.#carrier.pause !== undefined) {
      this.#carrierPaused = true;
      this.#carrier.pause();
    }
    this.#announce();
  }

  #room(): void {
    if (!this.#refused || !this.#open) return;
    this.#refused = false;
    this.#readiness?.writable();
  }

  #finish(error: Error): void {
    if (!this.#open) return;
    this.#end = error instanceof LinkError ? error : new LinkError('ERR_LINK_RESET', 'EOF', error.message, error);
    this.#announce();
  }

  /** What one turn of the loop delivers is seen as one batch. */
  #announce(): void {
    const waits = this.#arrived.length > 0 || this.#end !== undefined;
    if (!waits || this.#announced || this.#closed || this.#paused || this.#readiness === undefined) return;
    this.#announced = true;
    setImmediate(() => {
      this.#announced = false;
      this.#offer();
    });
  }

  #offer(): void {
    if (this.#closed || this.#paused || this.#readiness === undefined) return;
    if (this.#arrived.length > 0) {
      this.#readiness.readable();
      this.#announce();
      return;
    }
    if (this.#end === undefined) return;
    const readiness = this.#readiness;
    this.#readiness = undefined;
    readiness.failed(this.#end);
  }
}
