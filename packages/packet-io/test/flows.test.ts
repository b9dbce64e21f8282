import './native-build.js';
import { execFileSync, spawnSync } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, writeFileSync } from 'node:fs';
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
import { innerUdp, SeededRandom } from '@openvpnd/testkit';
import { afterEach, describe, expect, it } from 'vitest';
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
import { nativeAddon } from '../src/native-addon.js';
import { describeInNamespace } from './namespace.js';

const SLOT = 0;
const PEER_ID = 7;
const CIPHER = 'AES-256-GCM';
/** Of one grant; then one packet goes through JavaScript. */
const GRANT = 32;
const APP_PORT = 4000;
const PEER_PORT = 4001;
const DEVICE_ADDRESS = '10.77.0.1';
const SEED = Number(process.env.OPENVPND_FUZZ_SEED ?? '1');
const ROUNDS = 600;

const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

function makeChannel(
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

const oneRow = (): PacketVector =>
  new PacketVector({ capacity: 1, headroom: DataChannel.needs.headroom, packetBytes: 4000, tailroom: 17 });

/** An IPv4 packet for the application behind the device; `flags` make it a TCP segment with these. */
function inner(options: { from?: string; text?: string; flags?: number } = {}): Uint8Array {
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
class World {
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

  constructor(backend: AeadBackend, epoch: boolean, withFlows: boolean) {
    const shape = { headroom: DataChannel.needs.headroom, packetBytes: 1600, tailroom: 17 };
    this.#rx = new PacketVector({ ...shape, ...LINK_VECTOR });
    this.#tx = new PacketVector({ ...shape, ...DEVICE_VECTOR });
    this.device = openTun({ offload: 'tso+uso' });
    ip('addr', 'add', `${DEVICE_ADDRESS}/24`, 'dev', this.device.name);
    ip('link', 'set', this.device.name, 'up', 'mtu', '1500');
    const local = { family: 4, address: '127.0.0.1', port: 0 } as const;
    this.link = openUdpLink({ id: 1, local, offload: { gso: true, gro: true } });
    this.channel = makeChannel(backend, 'server', epoch, withFlows ? nativeFlows(this.changes) : undefined);
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

const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error('nothing has come');
    await turnOfLoop();
  }
}

const backends = [nativeBackend('evp'), ...(nativeAddon().multiBuffer().usable ? [nativeBackend('libipsec-mb')] : [])];

describeInNamespace(import.meta.url, () => {
  ip('link', 'set', 'lo', 'up');
  // On a fresh interface the system asks for IPv6 routers: then what a test sends does not come alone.
  const ownPackets = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
  if (existsSync(ownPackets)) writeFileSync(ownPackets, '1');
  let world: World | undefined;
  afterEach(() => {
    world?.close();
    world = undefined;
  });
  const open = (epoch = false, withFlows = true, backend = backends[0]): Promise<World> => {
    world = new World(backend, epoch, withFlows);
    return world.start();
  };

  for (const backend of backends) {
    it.for([false, true])(
      `${backend.name}: packets that come alone pass without JavaScript, epochs: %s`,
      async (epoch) => {
        const w = await open(epoch, true, backend);
        expect(await w.deliver(w.seal(inner({ text: 'first' })))).toBe('arrived');
        await w.answer('first answer');
        const { turns } = w;
        for (let packet = 0; packet < GRANT; packet += 1) {
          expect(await w.deliver(w.seal(inner({ text: `in ${packet}` })))).toBe('arrived');
          await w.answer(`out ${packet}`);
        }
        expect(w.turns).toBe(turns);
        expect(w.arrived.slice(1)).toEqual(Array.from({ length: GRANT }, (_, packet) => `in ${packet}`));
        expect(w.left.slice(1)).toEqual(Array.from({ length: GRANT }, (_, packet) => `out ${packet}`));
        // The grants are used up; the next ones go through JavaScript, once.
        expect(await w.deliver(w.seal(inner()))).toBe('arrived');
        await w.answer('y');
        expect(w.turns).toBe(turns + 2);
        expect(await w.deliver(w.seal(inner()))).toBe('arrived');
        expect(w.turns).toBe(turns + 2);
        const counters = w.channel.counters(SLOT);
        expect(counters).toMatchObject({ receivedPackets: GRANT + 3, sentPackets: GRANT + 2 });
        expect(w.peerChannel.counters(SLOT)).toMatchObject({
          sentPackets: counters.receivedPackets,
          sentBytes: counters.receivedBytes,
          receivedBytes: counters.sentBytes,
        });
      },
    );
  }

  describe('what is out of the ordinary goes to JavaScript as it came', () => {
    it.for<[string, 'arrived' | 'gone', (w: World) => Uint8Array]>([
      ['a replay', 'gone', (w) => w.seal(inner())],
      [
        'a forged packet',
        'gone',
        (w) => w.seal(inner()).map((byte, at, all) => (at === all.length - 1 ? byte ^ 1 : byte)),
      ],
      ['a packet of another peer id', 'gone', (w) => w.seal(inner()).map((byte, at) => (at === 3 ? byte ^ 1 : byte))],
      ['a packet under another key id', 'gone', (w) => w.seal(inner()).map((byte, at) => (at === 0 ? byte ^ 1 : byte))],
      ['a keep-alive', 'gone', (w) => w.seal(Uint8Array.from(Buffer.from('2a187bf3641eb4cb07ed2d0a981fc748', 'hex')))],
      ['something that is no IP packet', 'gone', (w) => w.seal(Uint8Array.of(0x99, 1, 2, 3))],
      ['a packet with bytes behind it', 'arrived', (w) => w.seal(Uint8Array.of(...inner({ text: 'long' }), 0, 0))],
      ['a SYN', 'gone', (w) => w.seal(inner({ flags: 0x02 }))],
      ['an IPv4 header that is cut', 'gone', (w) => w.seal(inner().subarray(0, 19))],
      ['another source address', 'arrived', (w) => w.seal(inner({ from: '10.77.0.3', text: 'other' }))],
      ['a datagram that is too short', 'gone', (w) => w.seal(inner()).subarray(0, 25)],
      ['one byte', 'gone', () => Uint8Array.of(0x48)],
      ['more than a flow takes', 'gone', (w) => w.seal(inner({ text: 'z'.repeat(3000) }))],
    ])('%s', async ([title, outcome, make]) => {
      const w = await open();
      const replayed = w.seal(inner({ text: 'once' }));
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
      const before = w.turns;
      if (title === 'a replay') {
        expect(await w.deliver(replayed)).toBe('arrived');
        expect(await w.deliver(replayed)).toBe('gone');
      } else {
        expect(await w.deliver(make(w))).toBe(outcome);
      }
      expect(w.turns).toBeGreaterThan(before);
      // It has done the others no harm.
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
    });

    it('a packet from another address', async () => {
      const w = await open();
      const other = createSocket('udp4');
      try {
        expect(await w.deliver(w.seal(inner()))).toBe('arrived');
        const { turns } = w;
        expect(await w.deliver(w.seal(inner()), other)).toBe('arrived');
        expect(w.turns).toBe(turns + 1);
      } finally {
        other.close();
      }
    });

    it('a packet from the device to another address, once', async () => {
      const w = await open();
      await w.answer('one');
      const { turns } = w;
      await w.answer('two', '10.77.0.3');
      expect(w.turns).toBe(turns + 1);
      await w.answer('three');
      await w.answer('four', '10.77.0.3');
      expect(w.turns).toBe(turns + 1);
      expect(w.left).toEqual(['one', 'two', 'three', 'four']);
    });
  });

  describe('a flow ends', () => {
    const ways: readonly [string, (w: World) => void][] = [
      ['when a decision has changed', (w) => w.changes.bump()],
      [
        'when its link was paused',
        (w) => {
          w.link.pause();
          w.link.resume();
        },
      ],
      [
        'when its device was paused',
        (w) => {
          w.device.pause();
          w.device.resume();
        },
      ],
      ['when the data channel changes something', (w) => w.channel.configurePeer(SLOT, {}, w.now)],
    ];
    it.for(ways)('%s', async ([, change]) => {
      const w = await open();
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
      await w.answer('a');
      const { turns } = w;
      change(w);
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
      await w.answer('b');
      expect(w.turns).toBe(turns + 2);
    });

    it('with its key', async () => {
      const w = await open();
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
      w.channel.retireKeys(SLOT, 0);
      expect(await w.deliver(w.seal(inner()))).toBe('gone');
      expect(w.channel.drops()).toMatchObject({ 'no-key': 1 });
    });

    it('with its link, and with its device', async () => {
      const w = await open();
      expect(await w.deliver(w.seal(inner()))).toBe('arrived');
      await w.answer('a');
      w.link.close();
      w.application.send('into nothing', PEER_PORT, '10.77.0.2');
      for (let pause = 0; pause < 5; pause += 1) await turnOfLoop();
      expect(w.left).toEqual(['a']);
    });
  });

  it('what the socket does not take is sent when it does', async () => {
    const slow = spawnSync('tc', 'qdisc replace dev lo root tbf rate 8mbit burst 4kb latency 2s'.split(' '));
    expect(slow.status).toBe(0);
    try {
      const w = await open();
      await w.answer('first');
      const text = 'f'.repeat(1300);
      w.rest();
      // More than the socket holds is not sent by a flow: what it refuses waits in JavaScript's vector.
      for (let packet = 0; packet < GRANT; packet += 1) w.application.send(`${packet} ${text}`, PEER_PORT, '10.77.0.2');
      await until(() => w.left.length > GRANT);
      expect(w.left.slice(1).map((message) => Number(message.split(' ')[0]))).toEqual([...Array(GRANT).keys()]);
    } finally {
      spawnSync('tc', 'qdisc del dev lo root'.split(' '));
    }
  });

  it.for([false, true])('at random, all is as without flows, epochs: %s', async (epoch) => {
    const random = new SeededRandom(SEED);
    const w = await open(epoch);
    const reference = makeChannel(nodeAeadBackend(), 'server', epoch);
    const sent: Uint8Array[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      if (random.chance(0.3)) {
        await w.answer(`out ${round}`, random.chance(0.9) ? '10.77.0.2' : '10.77.0.3');
        expect(w.left.at(-1)).toBe(`out ${round}`);
        continue;
      }
      if (sent.length === 0 || random.chance(0.85)) {
        sent.push(w.seal(inner({ text: `in ${round}`, from: random.chance(0.9) ? '10.77.0.2' : '10.77.0.3' })));
      }
      let datagram = sent[random.chance(0.8) ? sent.length - 1 : random.below(sent.length)];
      if (random.chance(0.1)) datagram = datagram.slice();
      if (random.chance(0.1)) datagram[random.below(datagram.length)] ^= 1 << random.below(8);
      const judged = oneRow();
      judged.slot[judged.appendCopy(datagram)] = SLOT;
      judged.fate[0] = FATE_OPEN;
      reference.openBatch(w.now, judged);
      expect(await w.deliver(datagram)).toBe(judged.fate[0] === FATE_INNER ? 'arrived' : 'gone');
    }
    const mine = w.channel.counters(SLOT);
    const judged = reference.counters(SLOT);
    for (const name of ['receivedPackets', 'receivedBytes', 'notAuthentic', 'replayed', 'payloadBytesIn'] as const) {
      expect([name, mine[name]]).toEqual([name, judged[name]]);
    }
    expect(w.turns).toBeLessThan(ROUNDS * 0.7);
  });

  it('the addon refuses what makes no sense', () => {
    const { flowReceive, flowRevoke, flowNote } = nativeAddon();
    expect(() => flowReceive(9999, 0, 0, 0, 0, 1)).toThrow(TypeError);
    expect(() => flowNote(9999)).toThrow(TypeError);
    expect(flowRevoke(9999, 0)).toBe(0);
    expect(() => nativeAddon().flowSetUp(new Float64Array(3), new Uint32Array(1))).toThrow(TypeError);
  });
});
