import { readFileSync } from 'node:fs';
import { FATE_CONSUMED, FATE_INNER, FATE_OPEN, FATE_RAW, FATE_SEAL, NO_KEY } from '@openvpnd/memory';
import { emitOccMessage } from '@openvpnd/wire';
import { describe, expect, it } from 'vitest';
import { DataChannel } from '../src/index.js';
import { nodeAeadBackend } from '../src/node/index.js';
import { ClearBackend } from './clear-backend.js';
import { keysFor, makeVector, open, openOne, payload, rareSignals, seal, sealOne, twoEnds } from './two-ends.js';

const vectors = (name: string): { id: string; inputs: Record<string, unknown>; expected: Record<string, unknown> }[] =>
  JSON.parse(readFileSync(new URL(`./vectors/${name}.json`, import.meta.url), 'utf8')).vectors;
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('data channel: seal and open', () => {
  for (const cipher of ['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM', 'CHACHA20-POLY1305']) {
    for (const peerId of [undefined, 0, 0xfffffe]) {
      it(`${cipher}, peer id ${peerId}: what one end seals the other opens, and a third does not`, () => {
        const ends = (['client', 'server', 'client'] as const).map((role, index) => {
          const channel = new DataChannel({ backend: nodeAeadBackend(), maxPeers: 8 });
          channel.addPeer(3, {}, 0);
          channel.installKeys(3, 2, keysFor(role, index === 2 ? 7 : 1, cipher), peerId === undefined ? {} : { peerId });
          channel.sendWith(3, 2);
          return channel;
        });
        const packets = [payload(1), payload(1400), payload(100, 3)];
        const sealed = seal(ends[0], 0, packets) as Uint8Array[];
        expect(open(ends[2], 0, sealed)).toEqual([undefined, undefined, undefined]);
        expect(open(ends[1], 0, sealed)).toEqual(packets);
        const back = sealOne(ends[1], 0, packets[1]);
        expect(openOne(ends[0], 0, back)).toEqual(packets[1]);
        expect(openOne(ends[1], 0, back)).toBeUndefined();
        const start = peerId === undefined ? '32' : `4a${peerId.toString(16).padStart(6, '0')}`;
        expect(toHex(back).startsWith(`${start}00000001`)).toBe(true);
      });
    }
  }

  it('accepts P_DATA_V1 and P_DATA_V2 under the same key', () => {
    const { server } = twoEnds();
    const { client: v1 } = twoEnds({}, null);
    const { client: v2 } = twoEnds({}, 9);
    sealOne(v2, 0, payload());
    expect(openOne(server, 0, sealOne(v1, 0, payload()))).toEqual(payload());
    expect(openOne(server, 0, sealOne(v2, 0, payload()))).toEqual(payload());
    // One replay window for both: the id 1 was used.
    const { client: again } = twoEnds({}, 9);
    expect(openOne(server, 0, sealOne(again, 0, payload()))).toBeUndefined();
  });

  it('drops what is no data packet, of no peer or without a key, and counts why', () => {
    const { client, server } = twoEnds();
    const good = sealOne(client, 0, payload());
    const otherKey = Uint8Array.from(good);
    otherKey[0] += 1;
    const control = Uint8Array.from(good);
    control[0] = 4 << 3;
    const forged = Uint8Array.from(good);
    forged[10] ^= 1;
    const wanted = [undefined, undefined, undefined, undefined, undefined];
    expect(open(server, 0, [otherKey, control, forged, new Uint8Array(), good.subarray(0, 24)])).toEqual(wanted);
    expect(open(server, 0, [good], 4)).toEqual([undefined]);
    expect(open(server, 0, [good], 100)).toEqual([undefined]);
    expect(open(server, 0, [good], 0xffffffff)).toEqual([undefined]);
    expect(server.drops()).toEqual({
      'no-key': 1,
      'not-data': 1,
      'not-authentic': 2,
      'too-short': 1,
      'unknown-peer': 3,
    });
    expect(openOne(server, 0, good)).toEqual(payload());
    expect(server.counters(3)).toMatchObject({ receivedPackets: 1, notAuthentic: 2, payloadBytesIn: 100 });
  });

  it('a forged packet does not move the window: the id stays free for the real one', () => {
    const { client, server } = twoEnds();
    const good = sealOne(client, 0, payload());
    const forged = Uint8Array.from(good);
    forged[12] ^= 0xff;
    const ahead = Uint8Array.from(good);
    ahead.set([0xff, 0xff, 0xff, 0xf0], 4);
    ahead[12] ^= 0xff;
    expect(open(server, 0, [forged, ahead, good, good])).toEqual([undefined, undefined, payload(), undefined]);
    expect(server.drops()).toEqual({ 'not-authentic': 2, 'id-seen': 1 });
  });

  it('replays of a whole session open nothing', () => {
    const { client, server } = twoEnds();
    const sealed = Array.from({ length: 50 }, (_, index) => sealOne(client, 0, payload(50 + index)));
    expect(open(server, 0, sealed).filter((packet) => packet !== undefined).length).toBe(50);
    expect(open(server, 0, sealed).filter((packet) => packet !== undefined).length).toBe(0);
    expect(server.counters(3).replayed).toBe(50);
  });

  it('leaves rows of other fates alone, takes the key off its own, and works beside them', () => {
    const { client, server } = twoEnds();
    const vector = makeVector();
    const raw = vector.appendCopy(payload(40));
    const inner = vector.appendCopy(payload(40));
    vector.fate[inner] = FATE_INNER;
    const mine = vector.appendCopy(sealOne(client, 0, payload(7)));
    vector.fate[mine] = FATE_OPEN;
    vector.slot[mine] = 3;
    server.openBatch(0, vector);
    expect([vector.fate[raw], vector.fate[inner], vector.fate[mine]]).toEqual([FATE_RAW, FATE_INNER, FATE_INNER]);
    expect(vector.key[mine]).toBe(NO_KEY);
    expect(vector.length[inner]).toBe(40);
    expect(server.counters(3).receivedPackets).toBe(1);
  });
});

describe('data channel: packet ids', () => {
  it('write-short: the first id is 1, and none comes twice', () => {
    const { client } = twoEnds();
    const expected = vectors('packet_id').find((vector) => vector.id === 'write-short')?.expected.bytes;
    const sealed = seal(client, 0, [payload(), payload(), payload()]) as Uint8Array[];
    expect(toHex(sealed[0].subarray(4, 8))).toBe(expected);
    expect(sealed.map((packet) => packet[7])).toEqual([1, 2, 3]);
  });

  it('short-wrap: after 0xffffffff nothing is sealed any more; from 0xff000000 on a new key is wanted, once', () => {
    const { client } = twoEnds();
    const jump = (segments: number): number => {
      const vector = makeVector();
      const row = vector.appendCopy(payload(8));
      vector.slot[row] = 3;
      vector.fate[row] = FATE_SEAL;
      vector.segments[row] = segments;
      client.sealBatch(0, vector);
      return vector.packetIdLow[row];
    };
    expect(jump(0xfefffffe)).toBe(1);
    expect(jump(1)).toBe(0xfeffffff);
    expect(rareSignals(client)).toEqual([]);
    expect(jump(1)).toBe(0xff000000);
    expect(rareSignals(client)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'packet-id' }]);
    jump(0xffffff - 1);
    expect(toHex(sealOne(client, 0, payload()).subarray(4, 8))).toBe('ffffffff');
    expect(seal(client, 0, [payload()])).toEqual([undefined]);
    expect(client.drops()).toEqual({ 'ids-exhausted': 1 });
    expect(rareSignals(client)).toEqual([]);
  });

  it('a super-packet takes an id for each segment', () => {
    const { client } = twoEnds();
    const vector = makeVector();
    for (const segments of [1, 44, 1]) {
      const row = vector.appendCopy(payload());
      vector.slot[row] = 3;
      vector.fate[row] = FATE_SEAL;
      vector.segments[row] = segments;
    }
    client.sealBatch(0, vector);
    expect(Array.from(vector.packetIdLow.subarray(0, 3))).toEqual([1, 2, 46]);
    expect(client.counters(3).sentPackets).toBe(46);
  });
});

describe('data channel: keys', () => {
  it('three keys open at once; sendWith decides which one seals', () => {
    const { client, server } = twoEnds();
    for (const keyId of [1, 2]) {
      client.installKeys(3, keyId, keysFor('client', keyId + 1), { peerId: 5 });
      server.installKeys(3, keyId, keysFor('server', keyId + 1), { peerId: 5 });
    }
    const packets = [0, 1, 2].map((keyId) => {
      client.sendWith(3, keyId);
      return sealOne(client, 0, payload(20, keyId + 1));
    });
    expect(packets.map((packet) => packet[0] & 7)).toEqual([0, 1, 2]);
    expect(open(server, 0, packets)).toEqual([payload(20, 1), payload(20, 2), payload(20, 3)]);
    // Each key has its own window and its own ids.
    expect(packets.map((packet) => packet[7])).toEqual([1, 1, 1]);
  });

  it('a retired key neither opens nor seals; its bytes are zero and its handles given back', () => {
    const backend = new ClearBackend();
    const server = new DataChannel({ backend, maxPeers: 8 });
    const { client } = twoEnds();
    const keys = keysFor('server');
    server.addPeer(3, {}, 0);
    server.installKeys(3, 0, keys, { peerId: 5 });
    server.sendWith(3, 0);
    expect(openOne(server, 0, sealOne(client, 0, payload()))).toEqual(payload());
    const late = sealOne(client, 0, payload());
    server.retireKeys(3, 0);
    expect(server.canSend(3)).toBe(false);
    expect(openOne(server, 0, late)).toBeUndefined();
    expect(seal(server, 0, [payload()])).toEqual([undefined]);
    expect(server.drops()).toEqual({ 'no-key': 1, 'no-send-key': 1 });
    for (const half of [keys.send, keys.receive]) {
      for (const secret of [half.cipherKey, half.implicitIv, half.hmacKey, half.epochSecret]) {
        expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
      }
    }
    expect([...backend.retired].sort()).toEqual(backend.installed.map((_, handle) => handle));
  });

  it('a key of the same id replaces the old one, with fresh ids and a fresh window', () => {
    const { client, server } = twoEnds();
    const old = sealOne(client, 0, payload());
    openOne(server, 0, old);
    client.installKeys(3, 0, keysFor('client', 9), { peerId: 5 });
    server.installKeys(3, 0, keysFor('server', 9), { peerId: 5 });
    client.sendWith(3, 0);
    const fresh = sealOne(client, 0, payload());
    expect(fresh[7]).toBe(1);
    expect(open(server, 0, [old, fresh])).toEqual([undefined, payload()]);
  });

  it('a removed peer leaves nothing behind', () => {
    const { client, server } = twoEnds({ pingMs: 1000 });
    const packet = sealOne(client, 0, payload());
    server.removePeer(3);
    server.removePeer(3);
    expect(openOne(server, 0, packet)).toBeUndefined();
    expect(server.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    server.addPeer(3, {}, 0);
    expect(openOne(server, 0, packet)).toBeUndefined();
    expect(server.counters(3).receivedPackets).toBe(0);
    expect(server.drops()).toEqual({ 'unknown-peer': 1, 'no-key': 1 });
  });

  it('bugs of ours throw', () => {
    const { client } = twoEnds();
    expect(() => client.addPeer(3, {}, 0)).toThrow(RangeError);
    expect(() => client.addPeer(8, {}, 0)).toThrow(RangeError);
    expect(() => client.installKeys(4, 0, keysFor('client'))).toThrow(RangeError);
    expect(() => client.installKeys(3, 8, keysFor('client'))).toThrow(RangeError);
    expect(() => client.sendWith(3, 1)).toThrow(RangeError);
    expect(() => client.sendWith(3, 0)).not.toThrow();
  });
});

describe('data channel: limits', () => {
  it('reneg-pkts and reneg-bytes count both directions, and speak once for a key', () => {
    const { client, server } = twoEnds({ renegotiatePackets: 3 });
    const there = seal(client, 0, [payload(), payload()]) as Uint8Array[];
    open(server, 0, there);
    expect(rareSignals(server)).toEqual([]);
    openOne(client, 0, sealOne(server, 0, payload()));
    const wanted = [{ type: 'renegotiate', slot: 3, reason: 'packets' }];
    expect(rareSignals(server)).toEqual(wanted);
    expect(rareSignals(client)).toEqual(wanted);
    sealOne(client, 0, payload());
    expect(rareSignals(client)).toEqual([]);
  });

  it('reneg-bytes counts bytes on the wire', () => {
    const { client } = twoEnds({ renegotiateBytes: 248 });
    sealOne(client, 0, payload(100));
    expect(rareSignals(client)).toEqual([]);
    sealOne(client, 0, payload(100));
    expect(rareSignals(client)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'bytes' }]);
  });

  it('an old key that is being replaced asks for nothing', () => {
    const { client } = twoEnds({ renegotiatePackets: 2 });
    client.installKeys(3, 1, keysFor('client', 2), { peerId: 5 });
    seal(client, 0, [payload(), payload(), payload()]);
    expect(rareSignals(client)).toEqual([]);
    client.sendWith(3, 1);
    seal(client, 0, [payload(), payload()]);
    expect(rareSignals(client)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'packets' }]);
  });

  const limited = (cipher: string): DataChannel => {
    const channel = new DataChannel({
      backend: new ClearBackend(),
      maxPeers: 4,
      aeadLimits: { usage: 80, failures: 10 },
    });
    channel.addPeer(3, {}, 0);
    channel.installKeys(3, 0, keysFor('client', 1, cipher), { peerId: 5 });
    channel.sendWith(3, 0);
    return channel;
  };

  it('GCM: at 7/8 of the blocks a new key is wanted; ChaCha20-Poly1305 has no such limit', () => {
    const gcm = limited('AES-256-GCM');
    const chacha = limited('CHACHA20-POLY1305');
    for (const channel of [gcm, chacha]) for (let round = 0; round < 10; round++) sealOne(channel, 0, payload(96));
    expect(rareSignals(gcm)).toEqual([]);
    for (const channel of [gcm, chacha]) sealOne(channel, 0, payload(1));
    expect(rareSignals(gcm)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'aead-limit' }]);
    expect(rareSignals(chacha)).toEqual([]);
  });

  it('failed verifications: half way a new key is wanted, beyond the limit nothing opens', () => {
    const channel = limited('AES-256-GCM');
    const { server } = twoEnds();
    const good = sealOne(server, 0, payload());
    const bad = Uint8Array.from(good);
    bad[9] ^= 1;
    for (let round = 0; round < 5; round++) openOne(channel, 0, bad);
    expect(rareSignals(channel)).toEqual([]);
    openOne(channel, 0, bad);
    expect(rareSignals(channel)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'failures' }]);
    for (let round = 6; round < 11; round++) openOne(channel, 0, bad);
    expect(openOne(channel, 0, good)).toBeUndefined();
    expect(channel.drops()).toEqual({ 'not-authentic': 11, 'no-key': 1 });
  });
});

describe('data channel: messages of its own', () => {
  it('hears OCC messages, and passes none of them on', () => {
    const { client, server } = twoEnds();
    const exit = emitOccMessage({ type: 'EXIT' });
    const known = vectors('framing_reliable').find((vector) => vector.id === 'occ-magic')?.expected.exit;
    expect(toHex(exit)).toBe(known);
    const vector = makeVector();
    for (const message of [exit, exit.subarray(0, 16), Uint8Array.of(...exit.subarray(0, 16), 99)]) {
      const row = vector.appendCopy(sealOne(client, 0, message));
      vector.fate[row] = FATE_OPEN;
      vector.slot[row] = 3;
    }
    server.openBatch(0, vector);
    // The magic alone is no message: whoever reads inner packets will refuse it.
    expect(Array.from(vector.fate.subarray(0, 3))).toEqual([FATE_CONSUMED, FATE_INNER, FATE_CONSUMED]);
    expect(rareSignals(server)).toEqual([{ type: 'occ', slot: 3, message: { type: 'EXIT' } }]);
  });

  it('holds no more than a few of them', () => {
    const { client, server } = twoEnds();
    for (let round = 0; round < 100; round++)
      openOne(server, 0, sealOne(client, 0, emitOccMessage({ type: 'REQUEST' })));
    expect(rareSignals(server).length).toBe(64);
    expect(rareSignals(server)).toEqual([]);
  });

  it('signals of a peer that is removed are gone', () => {
    const { client, server } = twoEnds({ renegotiatePackets: 1 });
    openOne(server, 0, sealOne(client, 0, emitOccMessage({ type: 'EXIT' })));
    server.removePeer(3);
    expect(rareSignals(server)).toEqual([]);
    server.addPeer(3, { renegotiatePackets: 1 }, 0);
    server.installKeys(3, 0, keysFor('server'), { peerId: 5 });
    openOne(server, 0, sealOne(client, 0, payload()));
    expect(rareSignals(server)).toEqual([{ type: 'renegotiate', slot: 3, reason: 'packets' }]);
  });
});

describe('data channel: mssfix', () => {
  const syn = (): Uint8Array =>
    Uint8Array.from(
      Buffer.from(
        '4500003000014000400626b50a0800020a08000110e1005000000001000000007002ffff5ed40000020405b401030307',
        'hex',
      ),
    );
  const mssOf = (packet: Uint8Array | undefined): number => (packet === undefined ? 0 : (packet[42] << 8) | packet[43]);

  it('clamps what comes and what goes', () => {
    const { client, server } = twoEnds({}, 5, 1336);
    const { client: plainClient, server: plainServer } = twoEnds();
    expect(mssOf(openOne(plainServer, 0, sealOne(client, 0, syn())))).toBe(1336);
    expect(mssOf(openOne(server, 0, sealOne(plainClient, 0, syn())))).toBe(1336);
    expect(mssOf(openOne(plainServer, 0, sealOne(plainClient, 0, syn())))).toBe(1460);
  });

  it('goes with the key that is sent with', () => {
    const { client } = twoEnds({}, 5, 1336);
    client.installKeys(3, 1, keysFor('client'), { peerId: 5, mss: 1200 });
    expect(mssOf(sealOne(client, 0, syn()).subarray(24))).toBe(1336);
    client.sendWith(3, 1);
    expect(mssOf(sealOne(client, 0, syn()).subarray(24))).toBe(1200);
    client.installKeys(3, 1, keysFor('client'), { peerId: 5 });
    expect(mssOf(sealOne(client, 0, syn()).subarray(24))).toBe(1460);
  });
});

describe('data channel: aead-limits', () => {
  it('counts no fewer blocks than OpenVPN does', () => {
    const vector = vectors('mtu_mss').find((candidate) => candidate.id === 'aead-limits');
    const limit = vector?.expected.limit as number;
    expect(limit).toBe(2 ** 36 - 1);
    expect(Math.floor(limit / (1600 / 16 + 1))).toBe(vector?.expected.packets_1600);
    // The vector rounds 9000 / 16 down; we round up.
    expect(Math.floor(limit / (Math.floor(9000 / 16) + 1))).toBe(vector?.expected.packets_9000);
    expect(Math.floor(limit / (Math.ceil(9000 / 16) + 1))).toBeLessThan(vector?.expected.packets_9000 as number);
  });
});
