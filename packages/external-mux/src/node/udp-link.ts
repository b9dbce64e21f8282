import { createSocket, type RemoteInfo, type Socket } from 'node:dgram';
import {
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { type ArrivalCounters, ArrivalQueue } from '../arrival-queue.js';
import { type Endpoint, linkAddress } from '../endpoint.js';
import { bindError } from '../link-error.js';
import type { LinkSocket, Readiness } from '../ports.js';
import { UDP_RECEIVE_BUFFER_BYTES, UDP_SEND_BUFFER_BYTES, type UdpLinkOptions } from '../udp-link-options.js';
import { HostText, parseHost, withPort } from './host-text.js';

/** Packets that wait for the driver: some turns of a fast link. Beyond it they are dropped, as the kernel would. */
export const RECEIVE_QUEUE_PACKETS = 1024;
/** Packets that node may hold back for a full socket before it counts as full. */
export const SEND_QUEUE_PACKETS = 512;
const LARGEST_DATAGRAM_BYTES = 65_507;

/** What happened on a link, in packets. */
export interface UdpLinkCounters extends ArrivalCounters {
  sent: number;
  /** Sends that the system refused, or that had nowhere to go. */
  unsent: number;
  /** Errors while receiving, as ICMP brings them. */
  receiveErrors: number;
}

/** A {@link LinkSocket} with the counters of the portable adapter. */
export interface UdpLink extends LinkSocket {
  readonly counters: Readonly<UdpLinkCounters>;
}

/**
 * Opens a UDP link on node:dgram: portable, one system call a packet. Without a local address it binds both families with one socket, or IPv4 alone
 * where there is no IPv6.
 *
 * @throws LinkError when the address cannot be bound, in OpenVPN's words
 */
export async function openUdpLink(options: UdpLinkOptions): Promise<UdpLink> {
  const port = options.port ?? 0;
  const ipv4: Endpoint = { family: 4, address: '0.0.0.0', port };
  if (options.local !== undefined) return await open(options, options.local);
  if (options.family === 4) return await open(options, ipv4);
  try {
    return await open(options, { family: 6, address: '::', port });
  } catch (error) {
    const code = (error as { systemCode?: string }).systemCode;
    if (options.family === undefined && (code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL'))
      return await open(options, ipv4);
    throw error;
  }
}

async function open(options: UdpLinkOptions, local: Endpoint): Promise<UdpLink> {
  const isIpv6Socket = local.family === 6;
  const socket = createSocket({
    type: isIpv6Socket ? 'udp6' : 'udp4',
    ipv6Only: isIpv6Socket && (options.ipv6Only ?? false),
    // Hosts are numeric here: a look-up would put each send off to a later turn.
    lookup: (host, _options, done) => done(null, host, isIpv6Socket ? 6 : 4),
  });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: bindHost(local), port: local.port, exclusive: true }, () => {
        socket.removeListener('error', reject);
        resolve();
      });
    });
  } catch (error) {
    socket.close();
    throw bindError(local, (error as NodeJS.ErrnoException).code ?? 'unknown', error);
  }
  setBuffers(socket, options);
  return new DgramLink(options.id, socket, isIpv6Socket);
}

class DgramLink implements UdpLink {
  readonly id: number;
  readonly protocol = 'udp';
  readonly counters: UdpLinkCounters = {
    sent: 0,
    received: 0,
    overflowed: 0,
    oversized: 0,
    unsent: 0,
    receiveErrors: 0,
  };
  readonly #socket: Socket;
  readonly #hosts: HostText;
  readonly #local: LinkAddress;
  readonly #arrivals: ArrivalQueue;
  #closed = false;
  #inFlight = 0;
  #refused = false;

  constructor(id: number, socket: Socket, isIpv6Socket: boolean) {
    this.id = id;
    this.#socket = socket;
    this.#hosts = new HostText({ isIpv6Socket });
    const { address, port } = socket.address();
    this.#local = withPort(parseHost(address) ?? new Uint32Array(ADDRESS_WORDS), port);
    this.#local[ADDRESS_LINK] = id;
    const { counters } = this;
    this.#arrivals = new ArrivalQueue({ linkId: id, counters, capacity: RECEIVE_QUEUE_PACKETS, soon: setImmediate });
    socket.on('message', (packet, from) => this.#arrive(packet, from));
    // Only ICMP speaks here: the socket stays as it is.
    socket.on('error', () => {
      this.counters.receiveErrors += 1;
    });
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  receiveBatch(rx: PacketVector): number {
    return this.#arrivals.receiveBatch(rx);
  }

  sendBatch(tx: PacketVector): boolean {
    for (let row = 0; row < tx.count; row += 1) {
      if (tx.fate[row] !== FATE_TO_LINK) continue;
      const at = row * ADDRESS_WORDS;
      if (tx.addresses[at + ADDRESS_LINK] !== this.id) continue;
      if (this.#inFlight >= SEND_QUEUE_PACKETS && !this.#closed) {
        this.#refused = true;
        return false;
      }
      this.#transmit(tx.packet(row), tx.addresses.subarray(at, at + ADDRESS_WORDS));
      tx.fate[row] = FATE_DROPPED;
    }
    return true;
  }

  send(packet: Uint8Array, to: LinkAddress): void {
    if (this.#inFlight >= SEND_QUEUE_PACKETS) this.counters.unsent += 1;
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
    this.#socket.close();
  }

  #arrive(packet: Uint8Array, from: RemoteInfo): void {
    if (this.#closed) return;
    if (packet.length === 0) {
      this.counters.oversized += 1;
      return;
    }
    const words = this.#hosts.wordsOf(from.address);
    if (words === undefined) {
      this.counters.receiveErrors += 1;
      return;
    }
    // The loop delivers all that waits in the socket one by one; what follows the poll sees it as one batch.
    if (this.#arrivals.push(packet, words, from.port)) this.#arrivals.announce();
  }

  #transmit(packet: Uint8Array, to: LinkAddress): void {
    const host = this.#hosts.textOf(to);
    if (this.#closed || host === undefined || to[ADDRESS_PORT] === 0 || packet.length > LARGEST_DATAGRAM_BYTES) {
      this.counters.unsent += 1;
      return;
    }
    this.#inFlight += 1;
    // A copy: node may keep the bytes until the socket has room, and the vector is not ours that long.
    this.#socket.send(Uint8Array.from(packet), to[ADDRESS_PORT], host, (error) => this.#sent(error));
  }

  #sent(error: Error | null): void {
    this.#inFlight -= 1;
    if (error) this.counters.unsent += 1;
    else this.counters.sent += 1;
    // Half empty, so that the driver does not come back for single packets.
    if (!this.#refused || this.#inFlight > SEND_QUEUE_PACKETS / 2) return;
    this.#refused = false;
    setImmediate(() => {
      this.#arrivals.watcher?.writable();
    });
  }
}

/** The host to bind, with the name of its interface where it is link-local. */
function bindHost(local: Endpoint): string {
  return new HostText({ isIpv6Socket: local.family === 6 }).textOf(linkAddress(local)) ?? local.address;
}

/** The system may grant less, or nothing: the tunnel works all the same. */
function setBuffers(socket: Socket, options: UdpLinkOptions): void {
  for (const [set, bytes] of [
    [socket.setRecvBufferSize, options.receiveBufferBytes ?? UDP_RECEIVE_BUFFER_BYTES],
    [socket.setSendBufferSize, options.sendBufferBytes ?? UDP_SEND_BUFFER_BYTES],
  ] as const) {
    try {
      set.call(socket, bytes);
    } catch {
      // Refused: what the system gave on its own stays.
    }
  }
}
