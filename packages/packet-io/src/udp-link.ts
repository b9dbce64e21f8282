import { isIPv4, isIPv6 } from 'node:net';
import type { LinkSocket, Readiness } from '@openvpnd/external-mux';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { EVENT_FAILED, EVENT_READABLE, EVENT_WRITABLE, type NativeIndex, nativeAddon } from './native-addon.js';
import { PacketIoError } from './packet-io-error.js';
import { type PortCounters, readPortCounters } from './port-counters.js';
import { registeredVector } from './registered-vector.js';

export interface UdpLinkOptions {
  /** Written into word 7 of every address; unique among the open links of the process. 0 … 2^32-1. */
  readonly id: number;
  /** `dual` is one IPv6 socket that takes IPv4 as well; its IPv4 peers appear with family 4. */
  readonly family: 'udp4' | 'udp6' | 'dual';
  /** Numeric address of the family to bind to (`dual`: IPv6), with a numeric zone if need be (`fe80::1%3`); any by default. OpenVPN: --local. */
  readonly address?: string;
  /** Local port; 0, the default, takes a free one. OpenVPN: --lport. */
  readonly port?: number;
  /** Size asked for the receive buffer, in bytes; {@link DEFAULT_BUFFER_BYTES} unless told otherwise, 0 leaves the system's. OpenVPN: --rcvbuf. */
  readonly receiveBufferBytes?: number;
  /** The same for sending. OpenVPN: --sndbuf. */
  readonly sendBufferBytes?: number;
  /** Value for SO_MARK. OpenVPN: --mark. */
  readonly mark?: number;
  /** Interface for SO_BINDTODEVICE. OpenVPN: --bind-dev. */
  readonly bindDevice?: string;
}

/** A UDP link with what it counted. */
export interface NativeUdpLink extends LinkSocket {
  /** Since the link was opened; frozen when it is closed. */
  counters(): PortCounters;
  /** Sizes of the buffers in effect, in bytes, as the kernel counts them (twice what was asked). */
  bufferBytes(): { readonly receive: number; readonly send: number };
}

/** Below 4 MiB a single TCP stream through the tunnel loses packets in bursts: with 1 MiB 6.5 thousand in two seconds, with 4 MiB none. */
export const DEFAULT_BUFFER_BYTES: number = 4 * 1024 * 1024;

/**
 * Opens an unconnected UDP socket, nonblocking and closed on exec, that receives and sends a vector in a few system calls.
 * Errors that the network reports (ECONNREFUSED, EHOSTUNREACH …) are counted, not told.
 *
 * @throws PacketIoError with OpenVPN's message: `TCP/UDP: Socket bind failed on local address [AF_INET]127.0.0.1:1194: Address already in use (errno=98)`
 */
export function openUdpLink(options: UdpLinkOptions): NativeUdpLink {
  const addon = nativeAddon();
  const { id, family, port: portNumber = 0, mark, bindDevice } = options;
  if (!Number.isInteger(id) || id < 0 || id > 0xffffffff) throw new RangeError('a link id is 0 … 2^32-1');
  if (!Number.isInteger(portNumber) || portNumber < 0 || portNumber > 65535) throw new RangeError('a port is 0 … 65535');
  const [host, scope] = localAddress(family, options.address);
  const port = addon.udpOpen(family === 'udp4' ? 4 : 6, family === 'udp6', id);
  if (port < 0) throw new PacketIoError('UDP: Cannot create UDP/UDP6 socket', -port);
  const demand = (result: number, what: () => string): number => {
    if (result >= 0) return result;
    addon.closePort(port);
    throw new PacketIoError(what(), -result);
  };
  const buffer = (send: boolean, bytes: number | undefined): number => {
    if (bytes === undefined) return addon.udpBuffer(port, send, DEFAULT_BUFFER_BYTES, true);
    if (bytes === 0) return 0;
    return demand(addon.udpBuffer(port, send, bytes, true), () => `UDP: Cannot set the ${send ? 'send' : 'receive'} buffer`);
  };
  const receive = buffer(false, options.receiveBufferBytes);
  const send = buffer(true, options.sendBufferBytes);
  if (mark !== undefined) demand(addon.udpMark(port, mark), () => `NOTE: setsockopt SO_MARK=${mark} failed`);
  if (bindDevice !== undefined) {
    demand(addon.udpDevice(port, bindDevice), () => `TCP/UDP: Socket bind to device ${bindDevice} failed`);
  }
  demand(
    addon.udpBind(port, host, portNumber, scope),
    () => `TCP/UDP: Socket bind failed on local address ${bindTarget(family, options.address, portNumber)}`,
  );
  return new LinuxUdpLink(id, port, receive, send);
}

class LinuxUdpLink implements NativeUdpLink {
  readonly id: number;
  readonly protocol = 'udp' as const;
  readonly #port: NativeIndex;
  readonly #local: LinkAddress = new Uint32Array(ADDRESS_WORDS);
  readonly #receiveBytes: number;
  readonly #sendBytes: number;
  #readiness: Readiness | undefined;
  #closed = false;
  #lastCounters: PortCounters | undefined;

  constructor(id: number, port: NativeIndex, receiveBytes: number, sendBytes: number) {
    this.id = id;
    this.#port = port;
    this.#receiveBytes = receiveBytes;
    this.#sendBytes = sendBytes;
    nativeAddon().udpLocalAddress(port, this.#local);
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  receiveBatch(rx: PacketVector): number {
    if (this.#closed) return 0;
    const added = nativeAddon().udpReceive(this.#port, registeredVector(rx), rx.count);
    rx.count += added;
    return added;
  }

  sendBatch(tx: PacketVector): boolean {
    if (!this.#closed) return nativeAddon().udpSend(this.#port, registeredVector(tx), tx.count);
    for (let row = 0; row < tx.count; row += 1) {
      if (tx.fate[row] === FATE_TO_LINK && tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] === this.id) {
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
      if (event === EVENT_FAILED) this.#readiness?.failed(new PacketIoError('read UDP', errno));
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
    this.#closed = true;
    nativeAddon().closePort(this.#port);
  }

  counters(): PortCounters {
    return this.#lastCounters ?? readPortCounters(this.#port);
  }

  bufferBytes(): { readonly receive: number; readonly send: number } {
    return { receive: this.#receiveBytes, send: this.#sendBytes };
  }
}

function localAddress(family: UdpLinkOptions['family'], address: string | undefined): [host: string, scope: number] {
  if (address === undefined) return [family === 'udp4' ? '0.0.0.0' : '::', 0];
  const [host, zone = '0'] = address.split('%', 2);
  const right = family === 'udp4' ? isIPv4(address) : isIPv6(host) && /^[0-9]{1,9}$/.test(zone);
  if (!right) throw new RangeError(`not a numeric address for ${family}: ${address}`);
  return [host, Number(zone)];
}

/** OpenVPN: print_sockaddr_ex(). */
function bindTarget(family: UdpLinkOptions['family'], address: string | undefined, port: number): string {
  return `[${family === 'udp4' ? 'AF_INET' : 'AF_INET6'}]${address ?? '[undef]'}:${port}`;
}
