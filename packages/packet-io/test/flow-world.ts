import './native-build.js';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { type AeadBackend, DataChannel, type FlowOffload } from '@openvpnd/data-channel';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import { dataChannelKeys, epochDataKey, findDataCipher, nextEpochSecret } from '@openvpnd/keygen';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  ChangeCount,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_DEVICE,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { Secret } from '@openvpnd/sans-io';
import { innerUdp } from '@openvpnd/testkit';
import { expect } from 'vitest';
import {
  DEVICE_VECTOR,
  LINK_VECTOR,
  type NativeTunDevice,
  type NativeUdpLink,
  nativeFlows,
  openTun,
  openUdpLink,
} from '../src/index.js';
import { ip, turnOfLoop, until } from './quiet-namespace.js';

export const SLOT = 0;
const PEER_ID = 7;
const CIPHER = 'AES-256-GCM';
const APP_PORT = 4000;
export const PEER_PORT = 4001;
const DEVICE_ADDRESS = '10.77.0.1';

export function makeChannel(
  backend: AeadBackend,
  role: 'client' | 'server',
  epoch: boolean,
  flows?: FlowOffload,
): DataChannel {
  const cipher = findDataCipher(CIPHER);
  if (cipher === undefined) throw new Error(CIPHER);
  const channel = new DataChannel({
    backend,
    maxPeers: 1,
    epochDerivation: { nextEpochSecret, epochDataKey },
    flows,
  });
  const material = new Secret(Uint8Array.from({ length: 256 }, (_, index) => index));
  channel.addPeer(SLOT, {}, 0);
  channel.installKeys(SLOT, 0, dataChannelKeys(material, cipher, role), { peerId: PEER_ID, epoch });
  channel.sendWith(SLOT, 0);
  return channel;
}

export const oneRow = (): PacketVector =>
  new PacketVector({ capacity: 1, headroom: DataChannel.needs.headroom, packetBytes: 4000, tailroom: 17 });

/** An IPv4 packet for the application behind the device; `flags` make it a TCP segment with these. */
export function inner(options: { from?: string; text?: string; flags?: number } = {}): Uint8Array {
  const { from = '10.77.0.2', text = 'x', flags } = options;
  const [source, destination] = [from, DEVICE_ADDRESS].map((address) => address.split('.').map(Number));
  const payload = Buffer.from(flags === undefined ? text : text.padEnd(12));
  const packet = innerUdp({ source, destination, payload, sourcePort: PEER_PORT, destinationPort: APP_PORT });
  if (flags === undefined) return packet;
  packet[9] = 6;
  packet[33] = flags;
  return packet;
}

/**
 * One end with a real device and a real socket, driven as the loop and the tunnels drive it, and around it: the peer, an application behind
 * the device, and a clock that moves on by ten milliseconds a packet.
 */
export class FlowWorld {
  readonly device: NativeTunDevice;
  readonly link: NativeUdpLink;
  readonly channel: DataChannel;
  readonly peerChannel: DataChannel;
  readonly changes: ChangeCount = new ChangeCount();
  readonly peer: Socket = createSocket('udp4');
  readonly application: Socket = createSocket('udp4');
  /** What has arrived at the application, and at the peer, opened there. */
  readonly arrived: string[] = [];
  readonly left: string[] = [];
  /** Calls into JavaScript for something to read. */
  turns = 0;
  /** How far its clock is ahead of the real one, which the addon reads. */
  #ahead = 0;
  readonly #rx: PacketVector;
  readonly #tx: PacketVector;
  readonly #peerAddress: LinkAddress = new Uint32Array(ADDRESS_WORDS);

  constructor(backend: AeadBackend, epoch: boolean) {
    const shape = { headroom: DataChannel.needs.headroom, packetBytes: 1600, tailroom: 17 };
    this.#rx = new PacketVector({ ...shape, ...LINK_VECTOR });
    this.#tx = new PacketVector({ ...shape, ...DEVICE_VECTOR });
    this.device = openTun({ offload: 'tso+uso' });
    ip('addr', 'add', `${DEVICE_ADDRESS}/24`, 'dev', this.device.name);
    ip('link', 'set', this.device.name, 'up', 'mtu', '1500');
    const local = { family: 4, address: '127.0.0.1', port: 0 } as const;
    this.link = openUdpLink({ id: 1, local, offload: { gso: true, gro: true } });
    this.channel = makeChannel(backend, 'server', epoch, nativeFlows(this.changes));
    this.peerChannel = makeChannel(nodeAeadBackend(), 'client', epoch);
  }

  async start(): Promise<this> {
    this.peer.bind(0, '127.0.0.1');
    this.application.bind(APP_PORT, DEVICE_ADDRESS);
    await Promise.all([once(this.peer, 'listening'), once(this.application, 'listening')]);
    this.application.on('message', (message) => this.arrived.push(message.toString()));
    this.peer.on('message', (message) => this.left.push(this.#openAtPeer(message)));
    this.#peerAddress.set(this.link.localAddress());
    this.#peerAddress[1] = this.peer.address().port;
    this.#peerAddress[ADDRESS_LINK] = this.link.id;
    this.link.watch({ readable: () => this.#receive(), writable: () => {}, failed: () => {} });
    this.device.watch({ readable: () => this.#send(), failed: () => {} });
    return this;
  }

  get now(): number {
    return performance.now() + this.#ahead;
  }

  /** Nothing happens for a while. */
  rest(): void {
    this.#ahead += 10;
  }

  /** A datagram of the peer. */
  seal(packet: Uint8Array): Uint8Array {
    const vector = oneRow();
    const row = vector.appendCopy(packet);
    vector.slot[row] = SLOT;
    vector.fate[row] = FATE_SEAL;
    this.peerChannel.sealBatch(this.now, vector);
    return Uint8Array.from(vector.packet(row));
  }

  /** Sends a datagram and waits until it was dealt with: it has arrived, or JavaScript has seen it. */
  async deliver(datagram: Uint8Array, from: Socket = this.peer): Promise<'arrived' | 'gone'> {
    const { arrived, turns } = this;
    const before = arrived.length;
    this.rest();
    from.send(datagram, this.link.localAddress()[1], '127.0.0.1');
    await until(() => arrived.length > before || this.turns > turns);
    // What JavaScript wrote to the device is in the socket behind it already.
    for (let pause = 0; pause < 3 && arrived.length === before; pause += 1) await turnOfLoop();
    return arrived.length > before ? 'arrived' : 'gone';
  }

  /** Sends something from the application to the peer, and waits until it is there. */
  async answer(text: string, to = '10.77.0.2'): Promise<void> {
    const before = this.left.length;
    this.rest();
    this.application.send(text, PEER_PORT, to);
    await until(() => this.left.length > before);
  }

  close(): void {
    this.link.close();
    this.device.close();
    this.peer.close();
    this.application.close();
  }

  #receive(): void {
    this.turns += 1;
    const rx = this.#rx;
    rx.reset();
    this.link.receiveBatch(rx);
    let strangers = 0;
    for (let row = 0; row < rx.count; row += 1) {
      rx.slot[row] = SLOT;
      rx.fate[row] = FATE_OPEN;
      const words = rx.addresses.subarray(row * ADDRESS_WORDS, (row + 1) * ADDRESS_WORDS);
      if (words.some((word, index) => word !== this.#peerAddress[index])) strangers += 1;
    }
    this.channel.openBatch(this.now, rx);
    for (let row = 0; row < rx.count; row += 1) if (rx.fate[row] === FATE_INNER) rx.fate[row] = FATE_TO_DEVICE;
    if (strangers === 0) this.channel.offerReceived(rx);
    this.device.writeBatch(rx);
  }

  #send(): void {
    const tx = this.#tx;
    tx.reset();
    this.device.readBatch(tx);
    this.turns += 1;
    for (let row = 0; row < tx.count; row += 1) {
      tx.fate[row] = FATE_SEAL;
      tx.slot[row] = SLOT;
    }
    this.channel.sealBatch(this.now, tx, true);
    for (let row = 0; row < tx.count; row += 1) tx.addresses.set(this.#peerAddress, row * ADDRESS_WORDS);
    this.channel.offerSent(tx);
    this.link.sendBatch(tx);
  }

  #openAtPeer(datagram: Uint8Array): string {
    const vector = oneRow();
    const row = vector.appendCopy(datagram);
    vector.slot[row] = SLOT;
    vector.fate[row] = FATE_OPEN;
    this.peerChannel.openBatch(this.now, vector);
    expect(vector.fate[row]).toBe(FATE_INNER);
    return Buffer.from(vector.packet(row).subarray(28)).toString();
  }
}
