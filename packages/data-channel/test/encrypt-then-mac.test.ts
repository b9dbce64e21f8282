import { readFileSync } from 'node:fs';
import { type DataChannelKeys, dataChannelKeys, findDataCipher, staticDataChannelKeys } from '@openvpnd/keygen';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK } from '@openvpnd/memory';
import { type Random, Secret } from '@openvpnd/sans-io';
import { describe, expect, it } from 'vitest';
import { DataChannel, type PeerSettings } from '../src/index.js';
import { PacketIdCounter } from '../src/packet-id-counter.js';
import { ClearBackend } from './clear-backend.js';
import { keysFor, makeVector, open, openOne, payload, seal, sealOne } from './two-ends.js';

interface CbcVector {
  readonly id: string;
  readonly inputs: {
    readonly cipher: string;
    readonly auth: string;
    readonly cipher_key: string;
    readonly hmac_key: string;
    readonly packet?: string;
    readonly iv?: string;
    readonly peer_id?: number | null;
    readonly packet_id?: number;
    readonly payload?: string;
    readonly key_id?: number;
    readonly static_key_2048?: string;
    readonly key_direction_of_sender?: 0 | 1;
  };
  readonly expected: Record<string, unknown>;
}

const VECTORS: readonly CbcVector[] = JSON.parse(
  readFileSync(new URL('./vectors/data_cbc.json', import.meta.url), 'utf8'),
).vectors;

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('hex');

/** Gives out the same bytes each time: an initialisation vector that is known. */
function fixedRandom(bytes: Uint8Array): Random {
  return { fill: (target) => target.set(bytes.subarray(0, target.length)) };
}

function cipherNamed(name: string): DataChannelKeys['cipher'] {
  const cipher = findDataCipher(name);
  if (cipher === undefined) throw new Error(name);
  return cipher;
}

/** Keys whose both directions are the same: one end can open what it seals. */
function loopKeys(cipher: string, cipherKey: Uint8Array, hmacKey: Uint8Array): DataChannelKeys {
  const key2 = new Uint8Array(256);
  for (const start of [0, 128]) {
    key2.set(cipherKey, start);
    key2.set(hmacKey, start + 64);
  }
  return dataChannelKeys(new Secret(key2), cipherNamed(cipher), 'client');
}

function channelWith(random: Random, settings: PeerSettings = {}): DataChannel {
  const channel = new DataChannel({ backend: new ClearBackend(), maxPeers: 8, random });
  channel.addPeer(3, settings, 0);
  return channel;
}

describe('CBC and HMAC: known answers', () => {
  for (const { id, inputs, expected } of VECTORS) {
    const isStatic = inputs.static_key_2048 !== undefined;
    const random = fixedRandom(hex(inputs.iv ?? (expected.iv as string)));
    const keys = (): DataChannelKeys => loopKeys(inputs.cipher, hex(inputs.cipher_key), hex(inputs.hmac_key));

    if (isStatic) {
      it(`${id}: the key file gives the keys, and they seal the same bytes`, () => {
        const packet = hex(inputs.packet ?? '');
        const file = new Secret(hex(inputs.static_key_2048 ?? ''));
        const direction = inputs.key_direction_of_sender === 0 ? 'normal' : 'inverse';
        const fromFile = staticDataChannelKeys(file, cipherNamed(inputs.cipher), direction);
        expect(toHex(fromFile.send.cipherKey.bytes)).toBe(inputs.cipher_key);
        expect(toHex(fromFile.send.hmacKey.bytes.subarray(0, 32))).toBe(inputs.hmac_key);
        const channel = channelWith(random);
        const unixTime = (): number => expected.net_time as number;
        channel.installStaticKey(3, keys(), { auth: inputs.auth, unixTime });
        const vector = makeVector();
        const row = vector.appendCopy(packet);
        vector.fate[row] = FATE_OPEN;
        vector.slot[row] = 3;
        channel.openBatch(0, vector);
        expect(vector.packetIdLow[row]).toBe(expected.packet_id);
        expect(vector.packetIdHigh[row]).toBe(expected.net_time);
        // Its ids begin at 1: that is where those of the capture are reached.
        for (let skipped = 1; skipped < (expected.packet_id as number); skipped++) sealOne(channel, 0, payload(1));
        const plain = expected.payload === undefined ? vector.packet(row) : hex(expected.payload as string);
        expect(toHex(sealOne(channel, 0, plain))).toBe(inputs.packet);
      });
    } else if (inputs.packet !== undefined) {
      it(`${id}: opens, and seals to the same bytes`, () => {
        const channel = channelWith(random);
        channel.installKeys(3, 0, keys(), { auth: inputs.auth });
        channel.sendWith(3, 0);
        const vector = makeVector();
        const row = vector.appendCopy(hex(inputs.packet ?? ''));
        vector.fate[row] = FATE_OPEN;
        vector.slot[row] = 3;
        channel.openBatch(0, vector);
        expect(vector.packetIdLow[row]).toBe(expected.packet_id);
        const plain = Uint8Array.from(vector.packet(row));
        if (expected.payload !== undefined) expect(toHex(plain)).toBe(expected.payload);
        for (let skipped = 1; skipped < (expected.packet_id as number); skipped++) sealOne(channel, 0, payload(1));
        expect(toHex(sealOne(channel, 0, plain))).toBe(inputs.packet);
      });
    } else {
      it(`${id}: opens to its payload and its id`, () => {
        const channel = channelWith(random);
        channel.installKeys(3, inputs.key_id ?? 0, keys(), { auth: inputs.auth });
        const vector = makeVector();
        const row = vector.appendCopy(hex(expected.packet as string));
        vector.fate[row] = FATE_OPEN;
        vector.slot[row] = 3;
        channel.openBatch(0, vector);
        expect(vector.packetIdLow[row]).toBe(inputs.packet_id);
        expect(toHex(vector.packet(row))).toBe(inputs.payload);
        expect(channel.counters(3).receivedPackets).toBe(1);
        expect(channel.drops()).toEqual({});
        // An empty payload is authentic, and nothing for the device.
        if (inputs.payload === '') expect(vector.fate[row]).not.toBe(FATE_INNER);
      });
    }
  }
});

describe('long and short packet ids: known answers', () => {
  const vectors: readonly {
    id: string;
    inputs: { id: number; time: number; now: number; long: boolean };
    expected: { ok: boolean; bytes?: string; time?: number };
  }[] = JSON.parse(readFileSync(new URL('./vectors/packet_id.json', import.meta.url), 'utf8')).vectors;
  for (const { id, inputs, expected } of vectors.filter((vector) => vector.inputs.long !== undefined)) {
    it(id, () => {
      const counter = new PacketIdCounter(inputs.long ? 'long' : 'short', { id: inputs.id, seriesTime: inputs.time });
      expect(counter.advance(inputs.now)).toBe(expected.ok);
      if (!expected.ok) return;
      const words = inputs.long ? [counter.id, counter.seriesTime] : [counter.id];
      expect(words.map((word) => word.toString(16).padStart(8, '0')).join('')).toBe(expected.bytes);
      if (expected.time !== undefined) expect(counter.seriesTime).toBe(expected.time);
    });
  }
});

const DIGESTS = [
  'none',
  'MD5',
  'SHA1',
  'SHA224',
  'SHA256',
  'SHA384',
  'SHA512',
  'SHA512-256',
  'SHA3-256',
  'SHA3-512',
  'BLAKE2b512',
  'BLAKE2s256',
  'RIPEMD160',
  'SM3',
];

describe('CBC and HMAC', () => {
  const random: Random = { fill: (target) => target.set(payload(target.length, 37)) };

  const ends = (cipher: string, auth: string, peerId?: number): [DataChannel, DataChannel] => {
    const pair = (['client', 'server'] as const).map((role) => {
      const channel = channelWith(random);
      channel.installKeys(3, 1, keysFor(role, 1, cipher), { auth, peerId });
      channel.sendWith(3, 1);
      return channel;
    });
    return [pair[0], pair[1]];
  };

  for (const cipher of ['AES-128-CBC', 'AES-256-CBC', 'none']) {
    for (const auth of DIGESTS) {
      it(`${cipher} with auth ${auth}: there and back, and refuses what was changed`, () => {
        for (const peerId of [undefined, 0x010203]) {
          const [client, server] = ends(cipher, auth, peerId);
          const packets = [1, 11, 12, 13, 16, 100, 1500].map((length) => payload(length));
          const sealed = seal(client, 0, packets) as Uint8Array[];
          expect(open(server, 0, sealed)).toEqual(packets);
          expect(open(server, 0, sealed).every((packet) => packet === undefined)).toBe(true);
          if (auth === 'none') continue;
          const fresh = sealOne(client, 0, payload(20));
          const prefixBytes = peerId === undefined ? 1 : 4;
          for (let index = prefixBytes; index < fresh.length; index++) {
            const changed = Uint8Array.from(fresh);
            changed[index] ^= 0x10;
            expect(openOne(server, 0, changed)).toBeUndefined();
          }
          for (let length = 0; length < fresh.length; length++) {
            expect(openOne(server, 0, fresh.subarray(0, length))).toBeUndefined();
          }
          expect(openOne(server, 0, fresh)).toEqual(payload(20));
        }
      });
    }
  }

  it('without authentication any bytes are survived', () => {
    const [client, server] = ends('AES-256-CBC', 'none');
    const sealed = sealOne(client, 0, payload(40));
    for (let index = 1; index < sealed.length; index++) {
      const changed = Uint8Array.from(sealed);
      changed[index] ^= 0x81;
      expect(() => openOne(server, 0, changed)).not.toThrow();
      expect(() => openOne(server, 0, changed.subarray(0, index))).not.toThrow();
    }
  });

  it('the plaintext does not show, and the same packet never looks the same', () => {
    let counter = 0;
    const changing: Random = { fill: (target) => target.fill(++counter) };
    const channel = channelWith(changing);
    channel.installKeys(3, 0, keysFor('client', 1, 'AES-256-CBC'), { auth: 'SHA256' });
    channel.sendWith(3, 0);
    const [one, two] = seal(channel, 0, [payload(64), payload(64)]) as Uint8Array[];
    expect(toHex(one)).not.toContain(toHex(payload(64).subarray(4, 40)));
    expect(toHex(one.subarray(33))).not.toBe(toHex(two.subarray(33)));
    const [client] = ends('none', 'SHA256');
    expect(toHex(sealOne(client, 0, payload(64)))).toContain(toHex(payload(64)));
  });

  it('stands beside AEAD keys in one vector', () => {
    const [client, server] = ends('AES-256-CBC', 'SHA256', 5);
    for (const [channel, role] of [
      [client, 'client'],
      [server, 'server'],
    ] as const) {
      channel.addPeer(4, {}, 0);
      channel.installKeys(4, 0, keysFor(role), { peerId: 9 });
      channel.sendWith(4, 0);
    }
    const vector = makeVector();
    for (let index = 0; index < 20; index++) {
      const row = vector.appendCopy(payload(50 + index));
      vector.slot[row] = 3 + (index % 2);
      vector.fate[row] = FATE_SEAL;
    }
    client.sealBatch(0, vector);
    for (let row = 0; row < 20; row++) {
      expect(vector.fate[row]).toBe(FATE_TO_LINK);
      vector.fate[row] = FATE_OPEN;
    }
    server.openBatch(0, vector);
    for (let row = 0; row < 20; row++) {
      expect(vector.fate[row]).toBe(FATE_INNER);
      expect(Uint8Array.from(vector.packet(row))).toEqual(payload(50 + row));
    }
  });

  it('refuses a row without room for what it adds, and super-packets', () => {
    const [client] = ends('AES-256-CBC', 'SHA512');
    const vector = makeVector(3);
    for (let index = 0; index < 3; index++) {
      const row = vector.appendCopy(payload(100));
      vector.slot[row] = 3;
      vector.fate[row] = FATE_SEAL;
    }
    vector.offset[0] -= 60;
    vector.segments[1] = 2;
    client.sealBatch(0, vector);
    expect(Array.from(vector.fate.subarray(0, 3))).toEqual([0, 0, FATE_TO_LINK]);
    expect(client.drops()).toEqual({ 'not-sealed': 2 });
  });

  it('bugs of ours throw', () => {
    const channel = channelWith(random);
    expect(() => channel.installKeys(3, 0, keysFor('client', 1, 'AES-128-CBC'), { auth: 'SHA7' })).toThrow(RangeError);
    const poor = new DataChannel({ backend: new ClearBackend(), maxPeers: 4 });
    poor.addPeer(0, {}, 0);
    expect(() => poor.installKeys(0, 0, keysFor('client', 1, 'AES-128-CBC'))).toThrow(TypeError);
    expect(() => channel.installStaticKey(3, keysFor('client'), { unixTime: () => 1 })).toThrow(RangeError);
    expect(() => channel.installKeys(3, 0, keysFor('client', 1, 'AES-128-CBC'), { auth: 'rsa-sha256' })).not.toThrow();
  });
});

describe('static key', () => {
  const random = fixedRandom(new Uint8Array(16).fill(7));
  const ends = (seconds: () => number): [DataChannel, DataChannel] => {
    const pair = (['client', 'server'] as const).map((role) => {
      const channel = channelWith(random, { pingMs: 1000 });
      channel.installStaticKey(3, keysFor(role, 1, 'AES-256-CBC'), { auth: 'SHA256', unixTime: seconds });
      return channel;
    });
    return [pair[0], pair[1]];
  };

  it('needs no opcode: whatever a packet begins with is looked at', () => {
    const [client, server] = ends(() => 1_700_000_000);
    for (let round = 0; round < 300; round++) {
      expect(openOne(server, 0, sealOne(client, 0, payload(30 + round)))).toEqual(payload(30 + round));
    }
    expect(server.drops()).toEqual({});
  });

  it('a series of an older second stays out after a restart, a newer one comes in', () => {
    let seconds = 1000;
    const [client, server] = ends(() => seconds);
    const recorded = sealOne(client, 0, payload());
    expect(openOne(server, 0, recorded)).toEqual(payload());
    seconds = 1001;
    const [restarted] = ends(() => seconds);
    expect(openOne(server, 0, sealOne(restarted, 0, payload()))).toEqual(payload());
    expect(openOne(server, 0, recorded)).toBeUndefined();
    seconds = 999;
    const [wrongClock] = ends(() => seconds);
    expect(openOne(server, 0, sealOne(wrongClock, 0, payload()))).toBeUndefined();
  });

  it('a slot that had one takes TLS keys afterwards', () => {
    const [client, server] = ends(() => 1000);
    const old = sealOne(client, 0, payload());
    for (const [channel, role] of [
      [client, 'client'],
      [server, 'server'],
    ] as const) {
      channel.installKeys(3, 0, keysFor(role), { peerId: 1 });
      channel.sendWith(3, 0);
    }
    expect(openOne(server, 0, sealOne(client, 0, payload()))).toEqual(payload());
    expect(openOne(server, 0, old)).toBeUndefined();
  });
});
