import { readFileSync } from 'node:fs';
import { type DataChannelKeys, epochDataKey, findDataCipher, nextEpochSecret } from '@openvpnd/keygen';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, NO_KEY, PacketVector } from '@openvpnd/memory';
import { Secret } from '@openvpnd/sans-io';
import { describe, expect, it } from 'vitest';
import { EpochKeys, type EpochKeysOptions } from '../src/epoch-keys.js';
import { EpochReceiveKeys } from '../src/epoch-receive-keys.js';
import {
  type AeadBackend,
  type AeadLimits,
  DataChannel,
  DEFAULT_REPLAY_WINDOW,
  type EpochDerivation,
} from '../src/index.js';
import { nodeAeadBackend } from '../src/node/index.js';
import { SIGNAL_AEAD_LIMIT, SIGNAL_PACKET_ID } from '../src/signals.js';
import { keysFor, makeVector, open, openOne, payload, seal, sealOne } from './two-ends.js';

interface EpochVector {
  readonly id: string;
  readonly inputs: Record<string, string> & { readonly epoch?: number; readonly counter?: number };
  readonly expected: Record<string, string> & { readonly epoch?: number; readonly counter?: number };
}

const VECTORS: readonly EpochVector[] = JSON.parse(
  readFileSync(new URL('./vectors/epoch.json', import.meta.url), 'utf8'),
).vectors;

const derivation = { nextEpochSecret, epochDataKey };
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const LIMITS: AeadLimits = { usage: 2 ** 36 - 1, failures: 2 ** 36 };
const PREFIX = Uint8Array.of(0x48, 0, 0, 7);

function keysOf(secret: Uint8Array, cipher: string): DataChannelKeys {
  const found = findDataCipher(cipher);
  if (found === undefined) throw new Error(cipher);
  const half = (): DataChannelKeys['send'] => ({
    cipherKey: new Secret(new Uint8Array(found.keyBytes)),
    implicitIv: new Secret(new Uint8Array(8)),
    hmacKey: new Secret(new Uint8Array(64)),
    epochSecret: new Secret(secret),
  });
  return { cipher: found, send: half(), receive: half() };
}

/** Epoch keys of one end, with a backend of their own. */
class Cipher extends EpochKeys {
  readonly backend: AeadBackend;

  constructor(options: Omit<EpochKeysOptions, 'backend' | 'derivation'> & { readonly derivation?: EpochDerivation }) {
    const backend = nodeAeadBackend();
    super({ derivation, ...options, backend });
    this.backend = backend;
  }
}

function makeCipher(options: {
  readonly secret?: Uint8Array;
  readonly cipher?: string;
  readonly prefix?: Uint8Array;
  readonly limits?: AeadLimits;
}): Cipher {
  return new Cipher({
    keys: keysOf(options.secret ?? payload(32), options.cipher ?? 'AES-256-GCM'),
    prefix: options.prefix ?? PREFIX,
    replayWindow: DEFAULT_REPLAY_WINDOW,
    limits: options.limits ?? LIMITS,
  });
}

/** The sealed packet; undefined when there is no packet id left, or no room. */
function sealWith(cipher: Cipher, packet: Uint8Array, vector = makeVector(1)): Uint8Array | undefined {
  vector.appendCopy(packet);
  vector.fate[0] = FATE_SEAL;
  if (!cipher.reserve(vector, 0)) return undefined;
  cipher.backend.sealBatch(vector);
  cipher.releaseLeft();
  return vector.fate[0] === FATE_TO_LINK ? Uint8Array.from(vector.packet(0)) : undefined;
}

/** The payload; undefined when it was refused; 'replay' when it was authentic but not fresh. */
function openWith(cipher: Cipher, packet: Uint8Array | undefined): Uint8Array | undefined | 'replay' {
  if (packet === undefined) throw new Error('not sealed');
  const vector = makeVector(1);
  vector.appendCopy(packet);
  vector.fate[0] = FATE_OPEN;
  vector.key[0] = cipher.choose(vector, 0);
  cipher.backend.openBatch(vector);
  if (vector.fate[0] !== FATE_INNER) {
    cipher.countFailure(vector, 0);
    return undefined;
  }
  const opened = Uint8Array.from(vector.packet(0));
  return cipher.accept(0, vector, 0) === 0 ? opened : 'replay';
}

/** Seals in an epoch: makes a sender that was led there by packets of its peer. */
function sealInEpoch(epoch: number, packet: Uint8Array = payload()): Uint8Array {
  const worn = makeCipher({ limits: { usage: 0, failures: 1 } });
  const echo = makeCipher({});
  let sealed = sealWith(worn, packet);
  while (worn.sendEpoch < epoch) {
    // The peer follows, which shows that it knows the epoch.
    openWith(echo, sealed);
    openWith(worn, sealWith(echo, packet));
    sealed = sealWith(worn, packet);
  }
  return sealed as Uint8Array;
}

describe('epoch packets: known answers', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.id.startsWith('captured-'))) {
    it(`opens ${id}, and seals its plaintext to the same bytes`, () => {
      const packet = hex(inputs.packet);
      const cipher = makeCipher({ secret: hex(inputs.E1), cipher: inputs.cipher, prefix: packet.slice(0, 4) });
      expect(toHex(openWith(cipher, packet) as Uint8Array)).toBe(expected.plaintext);
      expect(openWith(cipher, packet)).toBe('replay');
      for (let skipped = 1; skipped < (expected.counter ?? 0); skipped++) sealWith(cipher, payload());
      expect(toHex(sealWith(cipher, hex(expected.plaintext)) as Uint8Array)).toBe(inputs.packet);
    });
  }

  it('openvpn-test_ssl-epoch: epoch 4, reached from the first secret', () => {
    const vector = VECTORS.find((candidate) => candidate.id === 'openvpn-test_ssl-epoch');
    const { inputs, expected } = vector as EpochVector;
    const cipher = makeCipher({ secret: hex(inputs.E1), cipher: inputs.cipher, prefix: hex(inputs.header) });
    expect(toHex(openWith(cipher, hex(expected.packet)) as Uint8Array)).toBe(inputs.plaintext);
    // The sender follows the receiver: same epoch, counter 1.
    expect(toHex(sealWith(cipher, hex(inputs.plaintext)) as Uint8Array)).toBe(expected.packet);
  });

  // These give the secret of the epoch itself: the derivation is told to give every epoch its keys.
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.id.startsWith('comp-'))) {
    it(`${id}: seals and opens under the key and nonce of its epoch`, () => {
      const epoch = inputs.epoch ?? 0;
      const keys = keysOf(hex(inputs.E_epoch), inputs.cipher);
      const known = epochDataKey(keys.send.epochSecret, keys.cipher.keyBytes);
      const cipher = (): Cipher =>
        new Cipher({
          keys: keysOf(hex(inputs.E_epoch), inputs.cipher),
          prefix: hex(inputs.header),
          derivation: {
            nextEpochSecret: (secret) => new Secret(secret.bytes),
            epochDataKey: () => ({ cipherKey: new Secret(known.cipherKey.bytes), iv: new Secret(known.iv.bytes) }),
          },
          replayWindow: DEFAULT_REPLAY_WINDOW,
          limits: LIMITS,
          futureEpochs: 32,
        });
      const sender = cipher();
      const receiver = cipher();
      // 65502 is the last epoch that a receiver with 32 future keys comes to, and it goes there in steps.
      for (let step = 33; step < epoch; step += 32) {
        sender.startAt(step, 0);
        openWith(receiver, sealWith(sender, payload()) as Uint8Array);
      }
      sender.startAt(epoch, (inputs.counter ?? 0) - 1);
      expect(toHex(sealWith(sender, hex(inputs.plaintext)) as Uint8Array)).toBe(expected.packet);
      expect(toHex(openWith(receiver, hex(expected.packet)) as Uint8Array)).toBe(inputs.plaintext);
      expect(receiver.receiveEpoch).toBe(epoch);
    });
  }

  it('ids: epoch and counter as the vectors write them; the counter ends at 2^48 - 1', () => {
    const vectors: readonly {
      id: string;
      inputs: { epoch: number; id: number };
      expected: { ok: boolean; bytes?: string };
    }[] = JSON.parse(readFileSync(new URL('./vectors/packet_id.json', import.meta.url), 'utf8')).vectors.filter(
      (vector: { inputs: { format?: string } }) => vector.inputs.format === 'epoch',
    );
    expect(vectors.length).toBe(5);
    for (const { id, inputs, expected } of vectors) {
      if (id === 'epoch-shortbuf') {
        const vector = new PacketVector({ capacity: 1, headroom: 5, packetBytes: 64, tailroom: 16 });
        expect(sealWith(makeCipher({}), payload(20), vector)).toBeUndefined();
        continue;
      }
      const cipher = makeCipher({});
      cipher.startAt(inputs.epoch, inputs.id);
      const sealed = sealWith(cipher, payload());
      if (expected.ok) expect(toHex((sealed as Uint8Array).subarray(4, 12))).toBe(expected.bytes);
      // The counter is used up, and the peer has not shown that it knows this epoch.
      else expect(sealed).toBeUndefined();
    }
  });
});

describe('epoch window', () => {
  const INSTALLER = { installKey: () => 0, retireKey: () => {} };
  const receiveKeys = (futureEpochs: number): EpochReceiveKeys =>
    new EpochReceiveKeys({
      ...INSTALLER,
      derivation,
      firstSecret: new Secret(payload(32)),
      keyBytes: 16,
      replayWindow: DEFAULT_REPLAY_WINDOW,
      futureEpochs,
    });

  it('window-rules', () => {
    const { expected } = VECTORS.find((vector) => vector.id === 'window-rules') as unknown as {
      expected: Record<'after_init' | 'after_7' | 'after_8', { ok: number[]; null: number[] }>;
    };
    const keys = receiveKeys(13);
    const check = (rule: { ok: number[]; null: number[] }): void => {
      for (const epoch of rule.ok) expect(keys.find(epoch)?.epoch).toBe(epoch);
      for (const epoch of rule.null) expect(keys.find(epoch)).toBeUndefined();
    };
    check(expected.after_init);
    keys.moveTo(7);
    check(expected.after_7);
    keys.moveTo(8);
    check(expected.after_8);
    for (let step = 1; step <= 13; step++) {
      const from = keys.current.epoch;
      expect(keys.find(from + step)?.epoch).toBe(from + step);
      keys.moveTo(from + step);
      expect(keys.find(from + step + 14)).toBeUndefined();
    }
  });

  it('a jump of exactly the number of future keys is taken, one more is not', () => {
    const keys = receiveKeys(4);
    expect(keys.find(6)).toBeUndefined();
    keys.moveTo(5);
    expect(keys.current.epoch).toBe(5);
    expect(keys.find(1)?.epoch).toBe(1);
    expect(() => keys.moveTo(10)).toThrow(RangeError);
  });

  it('ends before the numbers do', () => {
    const known = epochDataKey(new Secret(payload(32)), 16);
    const keys = new EpochReceiveKeys({
      ...INSTALLER,
      derivation: {
        nextEpochSecret: (secret) => new Secret(secret.bytes),
        epochDataKey: () => ({ cipherKey: new Secret(known.cipherKey.bytes), iv: new Secret(known.iv.bytes) }),
      },
      firstSecret: new Secret(payload(32)),
      keyBytes: 16,
      replayWindow: DEFAULT_REPLAY_WINDOW,
      futureEpochs: 32,
    });
    while (keys.find(keys.current.epoch + 32) !== undefined) keys.moveTo(keys.current.epoch + 32);
    while (keys.find(keys.current.epoch + 1) !== undefined) keys.moveTo(keys.current.epoch + 1);
    // 65535 - 33.
    expect(keys.current.epoch).toBe(65_502);
    expect(keys.find(65_503)).toBeUndefined();
  });

  it('derives the chain of the vectors', () => {
    const { inputs, expected } = VECTORS.find((vector) => vector.id === 'epoch-chain') as unknown as {
      inputs: { E1: string };
      expected: { chain: { epoch: number; data_key_32: string; data_iv_12: string }[] };
    };
    const keys = new EpochReceiveKeys({
      ...INSTALLER,
      derivation,
      firstSecret: new Secret(hex(inputs.E1)),
      keyBytes: 32,
      replayWindow: DEFAULT_REPLAY_WINDOW,
    });
    for (const link of expected.chain) {
      expect(toHex(keys.find(link.epoch)?.key?.cipherKey.bytes ?? new Uint8Array())).toBe(link.data_key_32);
      expect(toHex(keys.find(link.epoch)?.key?.iv.bytes ?? new Uint8Array())).toBe(link.data_iv_12);
    }
  });

  it('derives a future key when a packet asks for it, each once; one that is not taken costs nothing', () => {
    let derived = 0;
    const keys = new EpochReceiveKeys({
      ...INSTALLER,
      derivation: {
        nextEpochSecret,
        epochDataKey: (secret, keyBytes) => {
          derived += 1;
          return epochDataKey(secret, keyBytes);
        },
      },
      firstSecret: new Secret(payload(32)),
      keyBytes: 16,
      replayWindow: DEFAULT_REPLAY_WINDOW,
    });
    expect(derived).toBe(1);
    for (const epoch of [0, 18, 0xffff]) expect(keys.find(epoch)).toBeUndefined();
    expect(derived).toBe(1);
    for (const epoch of [3, 2, 3]) expect(keys.find(epoch)?.epoch).toBe(epoch);
    expect(derived).toBe(3);
    for (let round = 0; round < 3; round++) expect(keys.find(17)?.epoch).toBe(17);
    expect(derived).toBe(17);
  });

  it('keeps no copy of a key that is installed', () => {
    const keys = receiveKeys(4);
    const first = keys.current;
    const { bytes } = first.key?.cipherKey ?? new Secret(payload(1));
    expect(keys.handleOf(first)).toBe(0);
    expect(first.key).toBeUndefined();
    expect(bytes.every((byte) => byte === 0)).toBe(true);
    keys.retire();
    expect(keys.handleOf(first)).toBe(NO_KEY);
  });

  it('zeroes keys that are over, and all in the end', () => {
    const keys = receiveKeys(4);
    const [first, second, third] = [1, 2, 3].map((epoch) => keys.find(epoch)?.key?.cipherKey.bytes ?? new Uint8Array());
    const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
    keys.moveTo(3);
    expect([first, second, third].map(isZero)).toEqual([false, true, false]);
    keys.moveTo(4);
    expect([first, second, third].map(isZero)).toEqual([true, true, false]);
    keys.retire();
    expect(isZero(third)).toBe(true);
  });
});

describe('epochs of the two directions', () => {
  it('the sender goes on when its key is worn out, never more than four ahead of its peer', () => {
    const cipher = makeCipher({ limits: { usage: 14, failures: 10 } });
    const epochs = Array.from({ length: 20 }, () => {
      sealWith(cipher, payload(96));
      return cipher.sendEpoch;
    });
    // 7 blocks and packets for each packet: a third one comes before the limit is found exceeded.
    expect(epochs.slice(0, 16)).toEqual([1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 5]);
    expect(cipher.sendEpoch).toBe(5);
    expect(cipher.due & SIGNAL_AEAD_LIMIT).not.toBe(0);
  });

  it('ChaCha20-Poly1305 is never worn out', () => {
    const cipher = makeCipher({ cipher: 'CHACHA20-POLY1305', limits: { usage: 14, failures: 10 } });
    for (let round = 0; round < 50; round++) sealWith(cipher, payload(96));
    expect([cipher.sendEpoch, cipher.due]).toEqual([1, 0]);
  });

  it('the receiver follows with what it sends, from counter 1, and does not go back', () => {
    const cipher = makeCipher({});
    sealWith(cipher, payload());
    expect(openWith(cipher, sealInEpoch(3))).toEqual(payload());
    expect([cipher.receiveEpoch, cipher.sendEpoch]).toEqual([3, 3]);
    expect(toHex((sealWith(cipher, payload()) as Uint8Array).subarray(4, 12))).toBe('0003000000000001');
    cipher.startAt(13, 5);
    // What comes later in an older epoch does not lead it back.
    expect(openWith(cipher, sealInEpoch(4))).toEqual(payload());
    expect([cipher.receiveEpoch, cipher.sendEpoch]).toEqual([4, 13]);
  });

  it('a key that was received with too much, or forged too often, makes the sender go on', () => {
    for (const forged of [false, true]) {
      const cipher = makeCipher({ limits: { usage: forged ? 1e6 : 14, failures: 10 } });
      const peer = makeCipher({});
      for (let round = 0; round < 6; round++) {
        const packet = sealWith(peer, payload(96)) as Uint8Array;
        if (forged) packet[20] ^= 1;
        openWith(cipher, packet);
      }
      sealWith(cipher, payload());
      expect([cipher.receiveEpoch, cipher.sendEpoch]).toEqual([1, 2]);
      sealWith(cipher, payload());
      expect(cipher.sendEpoch).toBe(2);
    }
  });

  it('the last epochs ask for a new key', () => {
    const cipher = makeCipher({});
    cipher.startAt(0xefff, 0);
    expect(cipher.due).toBe(0);
    cipher.startAt(0xf000, 0);
    expect(cipher.due).toBe(SIGNAL_PACKET_ID);
  });

  it('each epoch has its own window, and the one before stays open', () => {
    const cipher = makeCipher({});
    const [first, late] = [makeCipher({}), makeCipher({})].map((sender, index) => {
      for (let skipped = 0; skipped < index; skipped++) sealWith(sender, payload());
      return sealWith(sender, payload()) as Uint8Array;
    });
    expect(openWith(cipher, first)).toEqual(payload());
    expect(openWith(cipher, sealInEpoch(2))).toEqual(payload());
    expect(openWith(cipher, late)).toEqual(payload());
    expect(openWith(cipher, first)).toBe('replay');
    expect(openWith(cipher, sealInEpoch(3))).toEqual(payload());
    expect(openWith(cipher, late)).toBeUndefined();
  });

  describe('packet ids that are lent', () => {
    const idOf = (packet: unknown): string => toHex((packet as Uint8Array).subarray(4, 12));

    it('follow those that were given out, and those that come back are given out next', () => {
      const cipher = makeCipher({});
      cipher.startAt(1, 2 ** 32 - 2);
      sealWith(cipher, payload());
      expect(cipher.lend(32)).toBe(true);
      expect([cipher.lentHigh, cipher.lentLow]).toEqual([0x10001, 0]);
      cipher.giveBack(31);
      expect(idOf(sealWith(cipher, payload()))).toBe('0001000100000001');
    });

    it('do not come back into an epoch that has begun meanwhile, nor wear it out', () => {
      const cipher = makeCipher({ limits: { usage: 14, failures: 10 } });
      cipher.lend(32);
      expect(openWith(cipher, sealInEpoch(2))).toEqual(payload());
      cipher.countLent(1000);
      cipher.giveBack(32);
      expect(idOf(sealWith(cipher, payload()))).toBe('0002000000000001');
    });

    it('are not of an epoch that is worn out, nor beyond its end', () => {
      const cipher = makeCipher({ limits: { usage: 14, failures: 10 } });
      cipher.lend(32);
      cipher.countLent(300);
      cipher.giveBack(31);
      expect(cipher.lend(32)).toBe(false);
      const last = makeCipher({});
      // Too far ahead of its peer to go on.
      last.startAt(5, 2 ** 48 - 32);
      expect(last.lend(32)).toBe(false);
      expect(last.lend(31)).toBe(true);
    });

    it('only the current epoch has a window to be granted above', () => {
      const cipher = makeCipher({});
      expect(openWith(cipher, sealInEpoch(2))).toEqual(payload());
      expect(cipher.windowOf(0x20000)?.highest).toBe(1);
      expect(cipher.windowOf(0x10000)).toBeUndefined();
    });
  });

  it('a counter of 0 moves the epoch and is refused', () => {
    const cipher = makeCipher({});
    const sender = makeCipher({});
    sender.startAt(3, -1);
    expect(openWith(cipher, sealWith(sender, payload()) as Uint8Array)).toBe('replay');
    expect(cipher.receiveEpoch).toBe(3);
  });

  it('beyond the limit of failures nothing opens any more', () => {
    const cipher = makeCipher({ limits: { usage: 1e6, failures: 4 } });
    const good = sealWith(makeCipher({}), payload()) as Uint8Array;
    const bad = Uint8Array.from(good);
    bad[20] ^= 1;
    for (let round = 0; round < 5; round++) openWith(cipher, bad);
    expect(openWith(cipher, good)).toBeUndefined();
  });
});

describe('epoch keys in the data channel', () => {
  const ends = (cipher = 'AES-256-GCM', settings = {}): DataChannel[] =>
    (['client', 'server'] as const).map((role) => {
      const channel = new DataChannel({ backend: nodeAeadBackend(), maxPeers: 8, epochDerivation: derivation });
      channel.addPeer(3, settings, 0);
      channel.installKeys(3, 0, keysFor(role, 1, cipher), { peerId: 7, epoch: true });
      channel.sendWith(3, 0);
      return channel;
    });

  for (const cipher of ['AES-128-GCM', 'AES-192-GCM', 'AES-256-GCM', 'CHACHA20-POLY1305']) {
    it(`${cipher}: there and back, refusing replays and changes`, () => {
      const [client, server] = ends(cipher);
      const packets = [1, 100, 1400].map((length) => payload(length));
      const sealed = seal(client, 0, packets) as Uint8Array[];
      expect(open(server, 0, sealed)).toEqual(packets);
      expect(open(server, 0, sealed)).toEqual([undefined, undefined, undefined]);
      expect(openOne(client, 0, sealOne(server, 0, packets[1]))).toEqual(packets[1]);
      const fresh = sealOne(client, 0, payload(20));
      expect(toHex(fresh.subarray(0, 12))).toBe('480000070001000000000004');
      for (let index = 0; index < fresh.length; index++) {
        const changed = Uint8Array.from(fresh);
        changed[index] ^= 0x40;
        expect(openOne(server, 0, changed)).toBeUndefined();
      }
      for (let length = 0; length < fresh.length; length++) {
        expect(openOne(server, 0, fresh.subarray(0, length))).toBeUndefined();
      }
      expect(openOne(server, 0, fresh)).toEqual(payload(20));
    });
  }

  it('a new key id begins with epoch 1 again', () => {
    const [client, server] = ends();
    for (const [channel, role] of [
      [client, 'client'],
      [server, 'server'],
    ] as const) {
      channel.installKeys(3, 1, keysFor(role, 9), { peerId: 7, epoch: true });
      channel.sendWith(3, 1);
    }
    const sealed = sealOne(client, 0, payload());
    expect(toHex(sealed.subarray(0, 12))).toBe('490000070001000000000001');
    expect(openOne(server, 0, sealed)).toEqual(payload());
  });

  it('P_DATA_V1, or a key without a peer id, is refused', () => {
    const [client, server] = ends();
    const sealed = sealOne(client, 0, payload());
    const asV1 = Uint8Array.of(6 << 3, ...sealed.subarray(4));
    expect(openOne(server, 0, asV1)).toBeUndefined();
    expect(() => server.installKeys(3, 1, keysFor('server'), { epoch: true })).toThrow(RangeError);
    const poor = new DataChannel({ backend: nodeAeadBackend(), maxPeers: 4 });
    poor.addPeer(0, {}, 0);
    expect(() => poor.installKeys(0, 0, keysFor('client'), { peerId: 1, epoch: true })).toThrow(TypeError);
  });

  it('survives a vector in which the epoch changes', () => {
    const client = new DataChannel({
      backend: nodeAeadBackend(),
      maxPeers: 8,
      epochDerivation: derivation,
      aeadLimits: { usage: 20, failures: 10 },
    });
    client.addPeer(3, {}, 0);
    client.installKeys(3, 0, keysFor('client'), { peerId: 7, epoch: true });
    client.sendWith(3, 0);
    const [, server] = ends();
    const vector = makeVector();
    for (let index = 0; index < 6; index++) {
      const row = vector.appendCopy(payload(96));
      vector.fate[row] = FATE_SEAL;
      vector.slot[row] = 3;
    }
    client.sealBatch(0, vector);
    const packets = Array.from({ length: 6 }, (_, row) => {
      expect(vector.fate[row]).toBe(FATE_TO_LINK);
      return Uint8Array.from(vector.packet(row));
    });
    expect(packets.map((packet) => packet[5])).toEqual([1, 1, 1, 2, 2, 2]);
    expect(open(server, 0, packets).every((packet) => packet !== undefined)).toBe(true);
  });
});
