import './native-build.js';
import { createSocket } from 'node:dgram';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import { ChangeCount, FATE_INNER, FATE_OPEN } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { nativeBackend } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';
import { FlowWorld, inner, makeChannel, oneRow, PEER_PORT, SLOT } from './flow-world.js';
import { describeInNamespace } from './namespace.js';
import { loopbackAsItIs, quietNamespace, slowLoopback, turnOfLoop, until } from './quiet-namespace.js';

/** Of one grant; then one packet goes through JavaScript. */
const GRANT = 32;
const SEED = Number(process.env.OPENVPND_FUZZ_SEED ?? '1');
const ROUNDS = 600;

const backends = [nativeBackend('evp'), ...(nativeAddon().multiBuffer().usable ? [nativeBackend('libipsec-mb')] : [])];

describeInNamespace(import.meta.url, () => {
  quietNamespace();
  let world: FlowWorld | undefined;
  afterEach(() => {
    world?.close();
    world = undefined;
  });
  const open = (epoch = false, backend = backends[0]): Promise<FlowWorld> => {
    world = new FlowWorld(backend, epoch);
    return world.start();
  };

  for (const backend of backends) {
    it.for([false, true])(
      `${backend.name}: packets that come alone pass without JavaScript, epochs: %s`,
      async (epoch) => {
        const w = await open(epoch, backend);
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
    it.for<[string, 'arrived' | 'gone', (w: FlowWorld) => Uint8Array]>([
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
    const ways: readonly [string, (w: FlowWorld) => void][] = [
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

  it('what the socket does not take is sent when it does', async ({ skip }) => {
    slowLoopback('rate 8mbit burst 4kb latency 2s', skip);
    try {
      const w = await open();
      await w.answer('first');
      const text = 'f'.repeat(1300);
      w.rest();
      // More than the socket holds is not sent by a flow: what it refuses waits in JavaScript's vector.
      for (let packet = 0; packet < GRANT; packet += 1) w.application.send(`${packet} ${text}`, PEER_PORT, '10.77.0.2');
      await until(() => w.left.length > GRANT);
      const numbers = w.left.slice(1).map((message) => Number(message.split(' ')[0]));
      // The kernel may hand over in another order when the sender changes its processor.
      expect(numbers.sort((one, other) => one - other)).toEqual([...Array(GRANT).keys()]);
    } finally {
      loopbackAsItIs();
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
    // Memory that could be taken away.
    const changes = new ChangeCount().word;
    expect(() => nativeAddon().flowSetUp(new Float64Array(4000), changes)).toThrow(TypeError);
    const log = new Float64Array(new SharedArrayBuffer(8 * 4000));
    expect(() => nativeAddon().flowSetUp(log, new Uint32Array(1))).toThrow(TypeError);
    expect(() => nativeAddon().flowSetUp(log, changes)).not.toThrow();
  });
});
