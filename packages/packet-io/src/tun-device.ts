import { constants } from 'node:os';
import type { DeviceReadiness, TunDevice } from '@openvpnd/internal-mux';
import { FATE_DROPPED, FATE_TO_DEVICE, type PacketVector } from '@openvpnd/memory';
import { EVENT_FAILED, EVENT_READABLE, type NativeAddon, type NativeIndex, nativeAddon } from './native-addon.js';
import { PacketIoError } from './packet-io-error.js';
import { type PortCounters, readPortCounters } from './port-counters.js';
import { registeredVector } from './registered-vector.js';

export interface TunOptions {
  /** Name of the interface; `tun` (the default) takes the next free `tunN`. OpenVPN: --dev. */
  readonly name?: string;
  /** The device node, /dev/net/tun by default. OpenVPN: --dev-node. */
  readonly devNode?: string;
  /** Whether the interface outlives the process: true makes it persistent, false ends that; left as it is by default. OpenVPN: --mktun, --rmtun. */
  readonly persist?: boolean;
  /**
   * How much segmentation is left to us: `tso` for TCP, `tso+uso` for UDP as well, `none` (the default). The device then delivers super-packets, and takes
   * them, into which the packets of a vector are gathered. Less than was asked for is no error, see {@link NativeTunDevice.offload}. Vectors to read into need
   * an arena, see {@link DEVICE_VECTOR}.
   */
  readonly offload?: TunOffload;
}

export type TunOffload = 'none' | 'tso' | 'tso+uso';

/** A tun device with what it counted. */
export interface NativeTunDevice extends TunDevice {
  /** Since the device was opened; frozen when it is closed. */
  counters(): PortCounters;
  /** What the device does. Kernels before 6.2 have no `uso`. */
  readonly offload: TunOffload;
}

/**
 * What a vector that a device with offloads fills must have: an arena for super-packets and their sealed forms, and rows for the packets of all of
 * them, should they have to be split.
 */
export const DEVICE_VECTOR: { readonly capacity: number; readonly arenaBytes: number } = {
  capacity: 512,
  arenaBytes: 512 * 1024,
};

const { EINVAL } = constants.errno;
/** Longest name of an interface: IFNAMSIZ less its NUL. */
const MAX_NAME_BYTES = 15;

/**
 * Opens a tun device (layer 3, no packet information header), nonblocking and closed on exec. The interface has neither address nor
 * MTU nor is it up: that is the host's work.
 *
 * @throws PacketIoError with OpenVPN's message, `Cannot open TUN/TAP dev /dev/net/tun: …` or `Cannot ioctl TUNSETIFF tun0: …`
 */
export function openTun(options: TunOptions = {}): NativeTunDevice {
  const addon = nativeAddon();
  const { name = 'tun', devNode = '/dev/net/tun', persist, offload = 'none' } = options;
  if (name === '' || name.includes('%') || Buffer.byteLength(name) > MAX_NAME_BYTES) {
    throw new RangeError(`not a name for an interface: ${JSON.stringify(name)}`);
  }
  const port = addon.tunOpen(devNode);
  if (port < 0) throw new PacketIoError('ERR_TUN_OPEN', `Cannot open TUN/TAP dev ${devNode}`, -port);
  const wanted = name === 'tun' ? '' : name;
  const wantsOffload = offload !== 'none';
  let attached = addon.tunAttach(port, wanted, wantsOffload);
  // Devices that refuse the header of super-packets are there without it.
  if (wantsOffload && attached === -EINVAL) attached = addon.tunAttach(port, wanted, false);
  if (typeof attached === 'number') {
    addon.closePort(port);
    throw new PacketIoError('ERR_TUN_OPEN', `Cannot ioctl TUNSETIFF ${name}`, -attached);
  }
  if (persist !== undefined) {
    const result = addon.tunPersist(port, persist);
    if (result < 0) {
      addon.closePort(port);
      throw new PacketIoError('ERR_TUN_OPEN', `Cannot ioctl TUNSETPERSIST(${persist ? 1 : 0}) ${attached}`, -result);
    }
  }
  return new LinuxTun(attached, port, offload === 'none' ? 'none' : setOffload(port, offload));
}

/** Asks for as much as the kernel gives. */
function setOffload(port: NativeIndex, wanted: TunOffload): TunOffload {
  const addon = nativeAddon();
  if (wanted === 'tso+uso' && addon.tunOffload(port, 2) === 0) return 'tso+uso';
  if (addon.tunOffload(port, 1) === 0) return 'tso';
  // The header stays, if there is one: what is written may still be gathered.
  addon.tunOffload(port, 0);
  return 'none';
}

class LinuxTun implements NativeTunDevice {
  readonly name: string;
  readonly offload: TunOffload;
  readonly #port: NativeIndex;
  // Looked up once: an object with so many functions is a dictionary.
  readonly #read: NativeAddon['tunRead'] = nativeAddon().tunRead;
  readonly #write: NativeAddon['tunWrite'] = nativeAddon().tunWrite;
  #readiness: DeviceReadiness | undefined;
  #closed = false;
  #failed = false;
  #paused = false;
  #lastCounters: PortCounters | undefined;

  constructor(name: string, port: NativeIndex, offload: TunOffload) {
    this.name = name;
    this.offload = offload;
    this.#port = port;
  }

  readBatch(tx: PacketVector): number {
    if (this.#closed || this.#failed) return 0;
    const added = this.#read(this.#port, registeredVector(tx), tx.count);
    if (added < 0) {
      // Told in a turn of its own: the reader is in the middle of something.
      queueMicrotask(() => this.#fail(-added));
      return 0;
    }
    tx.count += added;
    return added;
  }

  writeBatch(rx: PacketVector): void {
    if (!this.#closed && !this.#failed) {
      this.#write(this.#port, registeredVector(rx), rx.count);
      return;
    }
    for (let row = 0; row < rx.count; row += 1) {
      if (rx.fate[row] === FATE_TO_DEVICE) rx.fate[row] = FATE_DROPPED;
    }
  }

  watch(readiness: DeviceReadiness): void {
    const first = this.#readiness === undefined;
    this.#readiness = readiness;
    if (!first || this.#closed) return;
    nativeAddon().watchPort(this.#port, (event, errno) => {
      if (event === EVENT_READABLE) this.#readiness?.readable();
      if (event === EVENT_FAILED) this.#fail(errno);
    });
  }

  holdOff(microseconds: number): void {
    nativeAddon().tunHoldOff(microseconds);
  }

  pause(): void {
    this.#setPaused(true);
  }

  resume(): void {
    this.#setPaused(false);
  }

  close(): void {
    if (this.#closed) return;
    this.#lastCounters = readPortCounters(this.#port);
    this.#closed = true;
    nativeAddon().closePort(this.#port);
  }

  counters(): PortCounters {
    return this.#lastCounters ?? readPortCounters(this.#port);
  }

  #setPaused(paused: boolean): void {
    if (this.#closed || this.#failed || this.#paused === paused) return;
    this.#paused = paused;
    nativeAddon().setReading(this.#port, !paused);
  }

  #fail(errno: number): void {
    if (this.#closed || this.#failed) return;
    this.#failed = true;
    nativeAddon().setReading(this.#port, false);
    this.#readiness?.failed(new PacketIoError('ERR_TUN_LOST', `read from TUN/TAP ${this.name}`, errno));
  }
}
