import type { DeviceReadiness, TunDevice } from '@openvpnd/internal-mux';
import { FATE_DROPPED, FATE_INNER, FATE_TO_DEVICE, type PacketVector } from '@openvpnd/memory';
import type { VirtualClock } from './virtual-clock.js';

/** Packets that the system queues into a simulated device before it drops: txqueuelen's order of magnitude. */
export const SIM_DEVICE_QUEUE_PACKETS = 512;

/** What happened on a {@link SimTun}, in packets. */
export interface SimTunCounters {
  read: number;
  written: number;
  /** Injected while the queue was full. */
  overflowed: number;
  /** Injected, but larger than a row of the vector. */
  oversized: number;
}

/** A {@link TunDevice} without a system behind it: the test injects what the system sends and takes what the tunnel delivers. */
export class SimTun implements TunDevice {
  readonly name: string;
  readonly counters: SimTunCounters = { read: 0, written: 0, overflowed: 0, oversized: 0 };
  readonly #clock: VirtualClock;
  readonly #onWrite: ((packet: Uint8Array) => void) | undefined;
  #incoming: Uint8Array[] = [];
  #written: Uint8Array[] = [];
  #readiness: DeviceReadiness | undefined;
  #paused = false;
  #closed = false;

  constructor(options: {
    readonly clock: VirtualClock;
    readonly name?: string;
    /** Gets each written packet (owned) instead of `takeWritten`: a host behind the device. */
    readonly onWrite?: (packet: Uint8Array) => void;
  }) {
    this.#clock = options.clock;
    this.name = options.name ?? 'tun0';
    this.#onWrite = options.onWrite;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** The system sends a packet into the device. Copied. */
  inject(packet: Uint8Array): void {
    if (this.#closed) return;
    if (this.#incoming.length >= SIM_DEVICE_QUEUE_PACKETS) {
      this.counters.overflowed += 1;
      return;
    }
    this.#incoming.push(packet.slice());
    this.#announce();
  }

  /** Removes and returns what the tunnel has written. */
  takeWritten(): Uint8Array[] {
    const written = this.#written;
    this.#written = [];
    return written;
  }

  readBatch(tx: PacketVector): number {
    let taken = 0;
    let rows = 0;
    while (taken < this.#incoming.length && tx.room > 0) {
      const row = tx.appendCopy(this.#incoming[taken]);
      taken += 1;
      if (row < 0) {
        this.counters.oversized += 1;
        continue;
      }
      tx.fate[row] = FATE_INNER;
      this.counters.read += 1;
      rows += 1;
    }
    this.#incoming.splice(0, taken);
    return rows;
  }

  writeBatch(rx: PacketVector): void {
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] !== FATE_TO_DEVICE) continue;
      rx.fate[row] = FATE_DROPPED;
      if (this.#closed) continue;
      this.counters.written += 1;
      const packet = rx.packet(row).slice();
      if (this.#onWrite) this.#onWrite(packet);
      else this.#written.push(packet);
    }
  }

  watch(readiness: DeviceReadiness): void {
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
    this.#closed = true;
    this.#incoming = [];
  }

  /** For a test: the device vanishes, as by `ip link del`. */
  fail(error: Error): void {
    this.#clock.soon(() => {
      if (!this.#closed) this.#readiness?.failed(error);
    });
  }

  // One function object, so that the clock can tell that it is asked for already.
  readonly #offer: () => void = () => {
    if (this.#closed || this.#paused || this.#incoming.length === 0) return;
    const waiting = this.#incoming.length;
    this.#readiness?.readable();
    // Whoever took nothing is asked again when time has passed: virtual time must not stand still.
    if (this.#incoming.length >= waiting) this.#clock.schedule(this.#clock.now() + 1, this.#offer);
    else this.#announce();
  };

  #announce(): void {
    if (this.#readiness && !this.#closed && !this.#paused && this.#incoming.length > 0) this.#clock.soon(this.#offer);
  }
}
