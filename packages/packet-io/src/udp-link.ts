import type { BufferSizes, Endpoint, LinkSocket, Readiness, UdpLinkOptions } from '@openvpnd/external-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import {
  EVENT_FAILED,
  EVENT_READABLE,
  EVENT_WRITABLE,
  type NativeAddon,
  type NativeIndex,
  nativeAddon,
} from './native-addon.js';
import { PacketIoError } from './packet-io-error.js';
import { type PortCounters, readPortCounters } from './port-counters.js';
import { registeredVector } from './registered-vector.js';
import { bufferSizes, duplicateSocket, openSocket, type SocketSettings, setSocket } from './socket.js';

/** The options of every UDP link, and what only the native one can do. */
export interface NativeUdpLinkOptions
  extends UdpLinkOptions,
    Omit<SocketSettings, 'sendBufferBytes' | 'receiveBufferBytes'> {
  /** A bound UDP socket that somebody else has opened; the link works on a duplicate, and `local`, `port` and `family` count for nothing. */
  readonly descriptor?: number;
  /**
   * Answers from the local address that was asked, and with `same-interface` through the interface too: each local address that a packet comes to has a link
   * id of its own, from `id` up to `id + MULTIHOME_IDS - 1`, which have to be free. OpenVPN: --multihome.
   */
  readonly multihome?: 'any-interface' | 'same-interface';
  /**
   * Lets the kernel split and gather datagrams, as far as it can; off by default. Vectors to receive into should have an
   * arena, see {@link LINK_VECTOR}; without one what was gathered is copied.
   */
  readonly offload?: UdpOffload;
}

/** Link ids that a link with `multihome` takes: so many local addresses, less one, are told apart; for those beyond the system chooses. */
export const MULTIHOME_IDS: number = 256;

/** What a kernel does with several datagrams at once: `gso` splits on sending (UDP_SEGMENT), `gro` gathers on receipt (UDP_GRO). */
export interface UdpOffload {
  readonly gso: boolean;
  readonly gro: boolean;
}

/** A UDP link with what it counted. */
export interface NativeUdpLink extends LinkSocket {
  /** Since the link was opened; frozen when it is closed. */
  counters(): PortCounters;
  /** What the kernel does of what was asked for. */
  readonly offloads: UdpOffload;
  /** Sizes of the buffers in effect, in bytes, as the kernel counts them (twice what was asked). */
  bufferBytes(): { readonly receive: number; readonly send: number };
  resizeBuffers(sizes: BufferSizes): void;
}

/**
 * What a vector that a link with offloads fills should have: rows for all datagrams of a few gathered messages, and an arena in which four of
 * these have their places.
 */
export const LINK_VECTOR: { readonly capacity: number; readonly arenaBytes: number } = {
  capacity: 512,
  arenaBytes: 4 * (65_536 + 1088),
};

/** UDP_RECEIVE_BUFFER_BYTES and UDP_SEND_BUFFER_BYTES of the port, which brings types alone here; the tests hold them together. */
const RECEIVE_BUFFER_BYTES = 208 * 1024;
const SEND_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Opens an unconnected UDP socket, nonblocking and closed on exec, that receives and sends a vector in a few system calls.
 * Without a local address one socket takes both families, or IPv4 alone where there is no IPv6; IPv4 peers of such a
 * socket appear with family 4. Errors that the network reports (ECONNREFUSED, EHOSTUNREACH …) are counted, not told.
 *
 * @throws PacketIoError with OpenVPN's message: `TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:1194: Address already in use (errno=98)`
 */
export function openUdpLink(options: NativeUdpLinkOptions): NativeUdpLink {
  const port = options.port ?? 0;
  const ipv4: Endpoint = { family: 4, address: '0.0.0.0', port };
  if (options.local !== undefined) return open(options, options.local);
  if (options.family === 4) return open(options, ipv4);
  try {
    return open(options, { family: 6, address: '::', port });
  } catch (error) {
    const noIpv6 =
      error instanceof PacketIoError && (error.systemCode === 'EAFNOSUPPORT' || error.systemCode === 'EADDRNOTAVAIL');
    if (noIpv6 && options.family === undefined) return open(options, ipv4);
    throw error;
  }
}

function open(options: NativeUdpLinkOptions, local: Endpoint): NativeUdpLink {
  const addon = nativeAddon();
  const { id, descriptor, ipv6Only = false } = options;
  if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw new RangeError('a link id is 0 … 2^32-1');
  if (!Number.isInteger(local.port) || local.port < 0 || local.port > 65535) {
    throw new RangeError('a port is 0 … 65535');
  }
  const settings: SocketSettings = {
    ...options,
    receiveBufferBytes: options.receiveBufferBytes ?? RECEIVE_BUFFER_BYTES,
    sendBufferBytes: options.sendBufferBytes ?? SEND_BUFFER_BYTES,
  };
  let fd: number;
  if (descriptor === undefined) {
    fd = openSocket('udp', { ...settings, family: local.family, local, ipv6Only });
  } else {
    fd = duplicateSocket(descriptor);
    setSocket(fd, settings);
  }
  const port = addon.udpAdopt(fd, id);
  if (port < 0) throw new PacketIoError('ERR_LINK_OPEN', 'UDP: Cannot create UDP/UDP6 socket', -port);
  let idCount = 1;
  if (options.multihome !== undefined) {
    idCount = addon.udpMultihome(port, options.multihome === 'same-interface');
    if (idCount < 0) {
      addon.closePort(port);
      throw new PacketIoError('ERR_LINK_OPEN', '--multihome: setsockopt IP_PKTINFO failed', -idCount);
    }
  }
  const { gso, gro } = options.offload ?? { gso: false, gro: false };
  return new LinuxUdpLink(id, idCount, port, fd, addon.udpOffload(port, gso, gro));
}

class LinuxUdpLink implements NativeUdpLink {
  readonly id: number;
  readonly idCount: number;
  readonly protocol = 'udp' as const;
  readonly sendsRuns = true;
  readonly offloads: UdpOffload;
  readonly #port: NativeIndex;
  // Looked up once: an object with so many functions is a dictionary.
  readonly #receive: NativeAddon['udpReceive'] = nativeAddon().udpReceive;
  readonly #send: NativeAddon['udpSend'] = nativeAddon().udpSend;
  readonly #local: LinkAddress = new Uint32Array(ADDRESS_WORDS);
  /** The port's own. */
  readonly #fd: number;
  #readiness: Readiness | undefined;
  #closed = false;
  #lastCounters: PortCounters | undefined;
  #lastBuffers: { readonly receive: number; readonly send: number } | undefined;

  constructor(id: number, idCount: number, port: NativeIndex, fd: number, offloads: number) {
    this.id = id;
    this.idCount = idCount;
    this.offloads = { gso: (offloads & 1) !== 0, gro: (offloads & 2) !== 0 };
    this.#port = port;
    this.#fd = fd;
    nativeAddon().udpLocalAddress(port, this.#local);
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  receiveBatch(rx: PacketVector): number {
    if (this.#closed) return 0;
    const added = this.#receive(this.#port, registeredVector(rx), rx.count);
    rx.count += added;
    return added;
  }

  sendBatch(tx: PacketVector): boolean {
    if (!this.#closed) return this.#send(this.#port, registeredVector(tx), tx.count);
    for (let row = 0; row < tx.count; row += 1) {
      const offset = tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] - this.id;
      if (tx.fate[row] === FATE_TO_LINK && offset >= 0 && offset < this.idCount) {
        tx.fate[row] = FATE_DROPPED;
      }
    }
    return true;
  }

  send(packet: Uint8Array, to: LinkAddress): void {
    if (!this.#closed) nativeAddon().udpSendOne(this.#port, packet, to);
  }

  watch(readiness: Readiness): void {
    const first = this.#readiness === undefined;
    this.#readiness = readiness;
    if (!first || this.#closed) return;
    nativeAddon().watchPort(this.#port, (event, errno) => {
      if (event === EVENT_READABLE) this.#readiness?.readable();
      if (event === EVENT_WRITABLE) this.#readiness?.writable();
      if (event === EVENT_FAILED) this.#readiness?.failed(new PacketIoError('ERR_LINK_LOST', 'read UDP', errno));
    });
  }

  pause(): void {
    if (!this.#closed) nativeAddon().setReading(this.#port, false);
  }

  resume(): void {
    if (!this.#closed) nativeAddon().setReading(this.#port, true);
  }

  close(): void {
    if (this.#closed) return;
    this.#lastCounters = readPortCounters(this.#port);
    this.#lastBuffers = this.bufferBytes();
    this.#closed = true;
    nativeAddon().closePort(this.#port);
  }

  counters(): PortCounters {
    return this.#lastCounters ?? readPortCounters(this.#port);
  }

  bufferBytes(): { readonly receive: number; readonly send: number } {
    return this.#lastBuffers ?? bufferSizes(this.#fd);
  }

  resizeBuffers(sizes: BufferSizes): void {
    if (!this.#closed) setSocket(this.#fd, sizes);
  }
}

/** What the kernel does for a link: nothing, where it is no native one. */
export function udpOffloadOf(link: LinkSocket): UdpOffload {
  return link instanceof LinuxUdpLink ? link.offloads : { gso: false, gro: false };
}
