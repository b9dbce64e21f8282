import './native-build.js';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { AeadKeyHandle } from '@openvpnd/data-channel';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  ChangeCount,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  type LinkAddress,
  PacketVector,
} from '@openvpnd/memory';
import { innerUdp } from '@openvpnd/testkit';
import { expect } from 'vitest';
import {
  DEVICE_VECTOR,
  LINK_VECTOR,
  type NativeTunDevice,
  type NativeUdpLink,
  nativeBackend,
  nativeFlows,
  openTun,
  openUdpLink,
} from '../src/index.js';
import { ip, until } from './quiet-namespace.js';

export const APP_PORT = 4000;
export const FAR_PORT = 4001;
export const HERE = '10.77.0.1';
export const THERE = '10.77.0.2';
/** Packets that a log holds. */
export const LOG_PACKETS = 256;
/** Places for the flows of each direction, and for pairs of addresses: native/flow.c. */
export const FLOWS = 256;
const PAIRS = 1024;
/** More than the pause after which a port is quiet, in milliseconds: QUIET of native/flow.c. */
const PAUSE = 1.2;

export const octets = (address: string): number[] => address.split('.').map(Number);
export const receiving = (slot: number): number => slot * 2;
export const sending = (slot: number): number => slot * 2 + 1;

/** As in native/flow.c. */
function hash(bytes: readonly number[], start: number): number {
  let sum = start;
  for (const byte of bytes) sum = Math.imul(sum ^ byte, 16_777_619) >>> 0;
  return (sum ^ (sum >>> 15)) >>> 0;
}

export function placeOfPair(source: string, destination: string, direction: number): number {
  const [from, to] = [source, destination].map((address) => [...octets(address), ...new Array<number>(12).fill(0)]);
  return hash(from, hash(to, direction)) % PAIRS;
}

/** Another address 10.77.x.y that some function of addresses takes for the same. */
export function twinOf(address: string, place: (address: string) => number): string {
  for (let number = 256; number < 65_536; number += 1) {
    const other = `10.77.${number >> 8}.${number & 0xff}`;
    if (other !== address && place(other) === place(address)) return other;
  }
  throw new Error('no other address has that place');
}

export function udp(from = THERE, to = HERE, text = 'x'): Uint8Array {
  const [source, destination] = [octets(from), octets(to)];
  return innerUdp({
    source,
    destination,
    payload: Buffer.from(text),
    sourcePort: FAR_PORT,
    destinationPort: APP_PORT,
  });
}

/** A TCP segment with these flags and as many bytes of header as fit. */
export function tcp(packet: Uint8Array, flags: number): Uint8Array {
  const headerBytes = packet[0] >> 4 === 4 ? 20 : 40;
  packet[headerBytes === 20 ? 9 : 6] = 6;
  if (packet.length > headerBytes + 13) packet[headerBytes + 13] = flags;
  return packet;
}

export function udp6(text: string, from = 2): Uint8Array {
  const address = (last: number): number[] => [0xfd, 0x77, ...new Array<number>(13).fill(0), last];
  return innerUdp({
    source: address(from),
    destination: address(1),
    payload: Buffer.from(text),
    sourcePort: FAR_PORT,
    destinationPort: APP_PORT,
  });
}

export const withByte = (packet: Uint8Array, at: number, value: number): Uint8Array =>
  packet.map((byte, index) => (index === at ? value : byte));

/** A row with room around it. */
export function rowOf(bytes: Uint8Array, fate: number, key: AeadKeyHandle): PacketVector {
  const vector = new PacketVector({ capacity: 1, headroom: 64, packetBytes: 4000, tailroom: 32 });
  const row = vector.appendCopy(bytes);
  vector.fate[row] = fate;
  vector.key[row] = key;
  return vector;
}

/** The keys of a peer: its end's, and ours. */
class Peer {
  readonly slot: number;
  readonly #backend = nativeBackend('evp');
  opens: AeadKeyHandle;
  seals: AeadKeyHandle;
  readonly #farSeals: AeadKeyHandle;
  readonly #farOpens: AeadKeyHandle;
  #lastId = 0;

  constructor(slot: number) {
    this.slot = slot;
    this.opens = this.#install('open', 1);
    this.seals = this.#install('seal', 2);
    this.#farSeals = this.#install('seal', 1);
    this.#farOpens = this.#install('open', 2);
  }

  #install(direction: 'open' | 'seal', which: number): AeadKeyHandle {
    return this.#backend.installKey({
      cipher: 'AES-128-GCM',
      key: new Uint8Array(16).fill(1 + this.slot * 4 + which),
      implicitIv: new Uint8Array(8).fill(which),
      prefix: Uint8Array.of(0x48, 0, 0, this.slot),
      direction,
    });
  }

  get nextId(): number {
    return this.#lastId + 1;
  }

  seal(packet: Uint8Array, id = this.nextId): Uint8Array {
    this.#lastId = Math.max(id, this.#lastId);
    const vector = rowOf(packet, FATE_SEAL, this.#farSeals);
    vector.packetIdLow[0] = id;
    this.#backend.sealBatch(vector);
    expect(vector.fate[0]).toBe(FATE_TO_LINK);
    return Uint8Array.from(vector.packet(0));
  }

  /** @returns undefined when it is not authentic */
  open(datagram: Uint8Array): { readonly id: number; readonly packet: Uint8Array } | undefined {
    const vector = rowOf(datagram, FATE_OPEN, this.#farOpens);
    this.#backend.openBatch(vector);
    if (vector.fate[0] !== FATE_INNER) return undefined;
    return { id: vector.packetIdLow[0], packet: Uint8Array.from(vector.packet(0)) };
  }

  /** Our end opens a packet, as it does before it grants. */
  opened(datagram: Uint8Array): PacketVector {
    const vector = rowOf(datagram, FATE_OPEN, this.opens);
    this.#backend.openBatch(vector);
    expect(vector.fate[0]).toBe(FATE_INNER);
    return vector;
  }

  /** Its key is another from now on. */
  renewOpens(): void {
    this.#backend.retireKey(this.opens);
    this.opens = this.#install('open', 1);
  }

  renewSeals(): void {
    this.#backend.retireKey(this.seals);
    this.seals = this.#install('seal', 2);
  }

  close(): void {
    for (const handle of [this.opens, this.seals, this.#farOpens, this.#farSeals]) this.#backend.retireKey(handle);
  }
}

interface Grant {
  readonly packet?: Uint8Array;
  readonly link?: NativeUdpLink;
  readonly packets?: number;
}

/** A device, two links, and flows that a test grants itself. */
export class Rig {
  readonly device: NativeTunDevice;
  readonly links: NativeUdpLink[];
  readonly changes = new ChangeCount();
  readonly flows = nativeFlows(this.changes);
  readonly far: Socket = createSocket('udp4');
  readonly application: Socket = createSocket('udp4');
  readonly peers = [0, 1, 2].map((slot) => new Peer(slot));
  /** What JavaScript was left: datagrams and packets. */
  readonly told: Uint8Array[] = [];
  /** What came to the application, and to the other end. */
  readonly arrived: string[] = [];
  readonly left: Uint8Array[] = [];
  readonly carried: { readonly flow: number; readonly id: number }[] = [];
  #nextLink = 1;
  #nextSendId = 1;
  readonly #rx: PacketVector;
  readonly #tx: PacketVector;

  constructor() {
    const shape = { headroom: 64, packetBytes: 4000, tailroom: 32 };
    this.#rx = new PacketVector({ ...shape, ...LINK_VECTOR });
    this.#tx = new PacketVector({ ...shape, ...DEVICE_VECTOR });
    this.device = openTun({ offload: 'tso+uso' });
    ip('addr', 'add', `${HERE}/16`, 'dev', this.device.name);
    ip('link', 'set', this.device.name, 'up', 'mtu', '3000');
    this.device.watch({
      readable: () => {
        this.#tx.reset();
        this.device.readBatch(this.#tx);
        this.#keep(this.#tx);
      },
      failed: () => {},
    });
    this.links = [this.#openLink(), this.#openLink()];
  }

  async start(): Promise<this> {
    this.far.bind(0, '127.0.0.1');
    this.application.bind(APP_PORT, HERE);
    await Promise.all([once(this.far, 'listening'), once(this.application, 'listening')]);
    this.far.on('message', (message) => this.left.push(Uint8Array.from(message)));
    this.application.on('message', (message) => this.arrived.push(message.toString()));
    return this;
  }

  get total(): number {
    return this.told.length + this.carried.length;
  }

  drain(): void {
    this.flows.drain((flow, _high, id) => this.carried.push({ flow, id }));
  }

  addressOn(link: NativeUdpLink): LinkAddress {
    const words: LinkAddress = Uint32Array.from(link.localAddress());
    words[1] = this.far.address().port;
    words[ADDRESS_LINK] = link.id;
    return words;
  }

  grantIn(slot: number, { packet = udp(), link = this.links[0], packets = 32 }: Grant = {}): number {
    const peer = this.peers[slot];
    const vector = peer.opened(peer.seal(packet));
    vector.addresses.set(this.addressOn(link).subarray(0, ADDRESS_WORDS));
    return this.flows.receive(vector, peer.opens, receiving(slot), packets);
  }

  grantOut(slot: number, { packet = udp(HERE, THERE), link = this.links[0], packets = 32 }: Grant = {}): number {
    return this.grantOutAs(sending(slot), this.peers[slot], { packet, link, packets });
  }

  grantOutAs(
    flow: number,
    peer: Peer,
    { packet = udp(HERE, THERE), link = this.links[0], packets = 32 }: Grant,
  ): number {
    const vector = rowOf(packet, FATE_TO_LINK, peer.seals);
    this.flows.note(vector);
    vector.addresses.set(this.addressOn(link).subarray(0, ADDRESS_WORDS));
    const first = this.#nextSendId;
    this.#nextSendId += packets;
    return this.flows.send(vector, peer.seals, flow, 0, first, packets);
  }

  /** Sends a datagram, and says who has taken it. */
  async deliver(datagram: Uint8Array, link = this.links[0]): Promise<'carried' | 'told'> {
    return await this.#settle(() => this.far.send(datagram, link.localAddress()[1], '127.0.0.1'));
  }

  /** Sends something from the application. */
  async answer(text: string, to = THERE): Promise<'carried' | 'told'> {
    return await this.#settle(() => this.application.send(text, FAR_PORT, to));
  }

  reopenLink(index: number): void {
    this.links[index].close();
    this.links[index] = this.#openLink();
  }

  close(): void {
    for (const link of this.links) link.close();
    this.device.close();
    for (const peer of this.peers) peer.close();
    this.far.close();
    this.application.close();
  }

  async #settle(act: () => void): Promise<'carried' | 'told'> {
    const begin = performance.now() + PAUSE;
    await until(() => performance.now() > begin);
    const told = this.told.length;
    const total = this.total;
    act();
    await until(() => {
      this.drain();
      return this.total > total;
    });
    expect(this.total).toBe(total + 1);
    return this.told.length > told ? 'told' : 'carried';
  }

  #keep(vector: PacketVector): void {
    for (let row = 0; row < vector.count; row += 1) this.told.push(Uint8Array.from(vector.packet(row)));
  }

  #openLink(): NativeUdpLink {
    const local = { family: 4, address: '127.0.0.1', port: 0 } as const;
    const link = openUdpLink({ id: this.#nextLink++, local, offload: { gso: true, gro: true } });
    link.watch({
      readable: () => {
        this.#rx.reset();
        link.receiveBatch(this.#rx);
        this.#keep(this.#rx);
      },
      writable: () => {},
      failed: () => {},
    });
    return link;
  }
}
