import { readFileSync } from 'node:fs';
import { epochDataKey } from '@openvpnd/keygen';
import { FATE_DROPPED, FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, NO_KEY, PacketVector } from '@openvpnd/memory';
import { Secret } from '@openvpnd/sans-io';
import { describe, expect, it } from 'vitest';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions, AeadLayout } from '../src/ports.js';

type CipherName = AeadKeyOptions['cipher'];

interface AeadVector {
  readonly id: string;
  readonly inputs: {
    readonly cipher: CipherName;
    readonly key: string;
    readonly implicit_iv: string;
    readonly packet?: string;
    readonly header?: string;
    readonly peer_id?: number | null;
    readonly packet_id?: number;
    readonly plaintext?: string;
  };
  readonly expected: {
    readonly packet?: string;
    readonly opcode?: number;
    readonly packet_id?: number;
    readonly plaintext?: string;
  };
}

const VECTORS: readonly AeadVector[] = JSON.parse(
  readFileSync(new URL('../test/vectors/data_aead.json', import.meta.url), 'utf8'),
).vectors;

interface EpochVector {
  readonly id: string;
  readonly inputs: {
    readonly cipher: CipherName;
    /** Secret of the epoch, or of the first one, in which these packets are. */
    readonly E_epoch?: string;
    readonly E1?: string;
    readonly packet?: string;
    readonly header?: string;
    readonly epoch?: number;
    readonly counter?: number;
    readonly plaintext?: string;
  };
  readonly expected: {
    readonly packet?: string;
    readonly plaintext?: string;
    readonly epoch?: number;
    readonly counter?: number;
  };
}

/** Packets of epochs. The other vectors of the file are about how epochs follow each other. */
const EPOCH_VECTORS: readonly EpochVector[] = JSON.parse(
  readFileSync(new URL('../test/vectors/epoch.json', import.meta.url), 'utf8'),
).vectors.filter(({ id }: EpochVector) => id.startsWith('captured-') || id.startsWith('comp-'));

const CIPHERS: readonly (readonly [CipherName, number])[] = [
  ['AES-128-GCM', 16],
  ['AES-192-GCM', 24],
  ['AES-256-GCM', 32],
  ['CHACHA20-POLY1305', 32],
];

interface Form {
  readonly name: string;
  /** Opcode 9 (P_DATA_V2) with key id 2 and peer id 0x010203, or opcode 6 (P_DATA_V1) with key id 2. */
  readonly prefix: Uint8Array;
  readonly layout: AeadLayout;
  /** What stands in front of the packet, and what behind it. */
  readonly head: number;
  readonly tail: number;
}

const V2: Form = { name: 'P_DATA_V2', prefix: Uint8Array.of(0x4a, 1, 2, 3), layout: 'short', head: 24, tail: 0 };
const V1: Form = { name: 'P_DATA_V1', prefix: Uint8Array.of(0x32), layout: 'short', head: 21, tail: 0 };
const EPOCH: Form = { name: 'P_DATA_V2 with epochs', prefix: V2.prefix, layout: 'epoch', head: 12, tail: 16 };
const FORMS: readonly Form[] = [V2, V1, EPOCH];

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const pattern = (length: number, seed: number): Uint8Array =>
  Uint8Array.from({ length }, (_, index) => (index * 7 + seed * 31) & 0xff);

function makeVector(capacity = 4): PacketVector {
  return new PacketVector({ capacity, headroom: 64, packetBytes: 2048, tailroom: 64 });
}

function append(vector: PacketVector, fate: number, key: AeadKeyHandle, packet: Uint8Array, packetId = 0): number {
  const row = vector.appendCopy(packet);
  vector.slot[row] = 5;
  vector.fate[row] = fate;
  vector.key[row] = key;
  vector.packetIdLow[row] = packetId;
  return row;
}

interface Pair {
  readonly seal: AeadKeyHandle;
  readonly open: AeadKeyHandle;
}

function installPair(backend: AeadBackend, cipher: CipherName, form: Form, seed = 1): Pair {
  const { prefix, layout } = form;
  const keyBytes = CIPHERS.find(([name]) => name === cipher)?.[1] ?? 0;
  const implicitIv = pattern(layout === 'epoch' ? 12 : 8, seed + 1);
  const base = { cipher, key: pattern(keyBytes, seed), implicitIv, layout };
  return {
    seal: backend.installKey({ ...base, direction: 'seal', prefix }),
    // Only the length of the prefix counts: a peer's packets carry another peer id than ours.
    open: backend.installKey({ ...base, direction: 'open', prefix: new Uint8Array(prefix.length) }),
  };
}

/** `packetIdHigh` counts for epochs. */
function sealOne(
  backend: AeadBackend,
  key: AeadKeyHandle,
  packetId: number,
  plain: Uint8Array,
  packetIdHigh = 0x0001_0000,
): Uint8Array {
  const vector = makeVector();
  const row = append(vector, FATE_SEAL, key, plain, packetId);
  vector.packetIdHigh[row] = packetIdHigh;
  backend.sealBatch(vector);
  expect(vector.fate[row]).toBe(FATE_TO_LINK);
  return Uint8Array.from(vector.packet(row));
}

/** The plaintext, or undefined when the row was dropped. */
function openOne(backend: AeadBackend, key: AeadKeyHandle, packet: Uint8Array): Uint8Array | undefined {
  const vector = makeVector();
  const row = append(vector, FATE_OPEN, key, packet);
  backend.openBatch(vector);
  if (vector.fate[row] === FATE_DROPPED) return undefined;
  expect(vector.fate[row]).toBe(FATE_INNER);
  return Uint8Array.from(vector.packet(row));
}

/**
 * What every {@link AeadBackend} must do. Call it at the top of a test file of the adapter's package; `makeBackend` is
 * called anew for each test.
 */
export function describeAeadBackend(name: string, makeBackend: () => AeadBackend): void {
  describe(`AEAD backend ${name}`, () => {
    describeVectors(makeBackend);
    describeEpochVectors(makeBackend);
    describeRefusals(makeBackend);
    describeBatches(makeBackend);
    describeKeys(makeBackend);
  });
}

function describeVectors(makeBackend: () => AeadBackend): void {
  describe('known answers', () => {
    for (const vector of VECTORS) {
      const { inputs, expected } = vector;
      const base = { cipher: inputs.cipher, key: hex(inputs.key), implicitIv: hex(inputs.implicit_iv) };
      if (inputs.packet !== undefined) {
        it(`opens ${vector.id}, and seals it to the same bytes`, () => {
          const backend = makeBackend();
          const packet = hex(inputs.packet ?? '');
          const prefix = packet.slice(0, expected.opcode === 9 ? 4 : 1);
          const open = backend.installKey({ ...base, direction: 'open', prefix });
          const rows = makeVector();
          const row = append(rows, FATE_OPEN, open, packet);
          backend.openBatch(rows);
          expect(rows.fate[row]).toBe(FATE_INNER);
          expect(rows.packetIdLow[row]).toBe(expected.packet_id);
          expect(toHex(rows.packet(row))).toBe(expected.plaintext);
          const seal = backend.installKey({ ...base, direction: 'seal', prefix });
          const sealed = sealOne(backend, seal, expected.packet_id ?? 0, hex(expected.plaintext ?? ''));
          expect(toHex(sealed)).toBe(inputs.packet);
        });
      } else {
        it(`seals ${vector.id}, and opens it`, () => {
          const backend = makeBackend();
          const wanted = hex(expected.packet ?? '');
          const prefix = wanted.slice(0, inputs.header !== undefined || inputs.peer_id !== null ? 4 : 1);
          const seal = backend.installKey({ ...base, direction: 'seal', prefix });
          const sealed = sealOne(backend, seal, inputs.packet_id ?? 0, hex(inputs.plaintext ?? ''));
          expect(toHex(sealed)).toBe(expected.packet);
          const open = backend.installKey({ ...base, direction: 'open', prefix });
          const opened = openOne(backend, open, wanted);
          // A packet without a payload is shorter than the shortest that the format allows.
          if (inputs.plaintext === '') expect(opened).toBeUndefined();
          else expect(toHex(opened ?? new Uint8Array())).toBe(inputs.plaintext);
        });
      }
    }
  });
}

function describeEpochVectors(makeBackend: () => AeadBackend): void {
  describe('known answers of epochs', () => {
    for (const { id, inputs, expected } of EPOCH_VECTORS) {
      it(`seals and opens ${id}`, () => {
        const backend = makeBackend();
        const keyBytes = CIPHERS.find(([name]) => name === inputs.cipher)?.[1] ?? 0;
        const { cipherKey, iv } = epochDataKey(new Secret(hex(inputs.E_epoch ?? inputs.E1 ?? '')), keyBytes);
        const packet = hex(inputs.packet ?? expected.packet ?? '');
        const plain = hex(inputs.plaintext ?? expected.plaintext ?? '');
        const epoch = inputs.epoch ?? expected.epoch ?? 0;
        const counter = inputs.counter ?? expected.counter ?? 0;
        const high = epoch * 0x1_0000 + Math.floor(counter / 0x1_0000_0000);
        const low = counter % 0x1_0000_0000;
        const base = { cipher: inputs.cipher, key: cipherKey.bytes, implicitIv: iv.bytes, layout: 'epoch' } as const;
        const seal = backend.installKey({ ...base, direction: 'seal', prefix: packet.slice(0, 4) });
        expect(toHex(sealOne(backend, seal, low, plain, high))).toBe(toHex(packet));
        const open = backend.installKey({ ...base, direction: 'open', prefix: new Uint8Array(4) });
        const rows = makeVector();
        const row = append(rows, FATE_OPEN, open, packet);
        backend.openBatch(rows);
        expect(rows.fate[row]).toBe(FATE_INNER);
        expect([rows.packetIdHigh[row], rows.packetIdLow[row]]).toEqual([high, low]);
        expect(toHex(rows.packet(row))).toBe(toHex(plain));
      });
    }
  });
}

function describeRefusals(makeBackend: () => AeadBackend): void {
  for (const [cipher] of CIPHERS) {
    for (const form of FORMS) {
      const version = form.name;

      it(`${cipher} ${version}: any changed byte that is authenticated makes the packet drop`, () => {
        const backend = makeBackend();
        const pair = installPair(backend, cipher, form);
        const plain = pattern(33, 9);
        const packet = sealOne(backend, pair.seal, 0x01020304, plain);
        expect(openOne(backend, pair.open, packet)).toEqual(plain);
        for (let index = 0; index < packet.length; index++) {
          const changed = Uint8Array.from(packet);
          changed[index] ^= 1 << (index % 8);
          const opened = openOne(backend, pair.open, changed);
          // The first byte of a P_DATA_V1 packet is not authenticated.
          if (form === V1 && index === 0) expect(opened).toEqual(plain);
          else expect(opened).toBeUndefined();
        }
      });

      it(`${cipher} ${version}: a packet that is cut or grown drops`, () => {
        const backend = makeBackend();
        const pair = installPair(backend, cipher, form);
        const packet = sealOne(backend, pair.seal, 7, pattern(3, 4));
        for (let length = 0; length < packet.length; length++) {
          expect(openOne(backend, pair.open, packet.subarray(0, length))).toBeUndefined();
        }
        expect(openOne(backend, pair.open, Uint8Array.of(...packet, 0))).toBeUndefined();
        expect(openOne(backend, pair.open, packet)).toEqual(pattern(3, 4));
      });
    }
  }

  it('a key with epochs needs the prefix and the IV of its layout, and room behind its packet', () => {
    const backend = makeBackend();
    const key = { cipher: 'AES-128-GCM', key: pattern(16, 1), direction: 'seal' } as const;
    const epoch = { ...key, layout: 'epoch' } as const;
    expect(() => backend.installKey({ ...epoch, implicitIv: pattern(8, 1), prefix: V2.prefix })).toThrow(RangeError);
    expect(() => backend.installKey({ ...epoch, implicitIv: pattern(12, 1), prefix: V1.prefix })).toThrow(RangeError);
    expect(() => backend.installKey({ ...key, implicitIv: pattern(12, 1), prefix: V2.prefix })).toThrow(RangeError);
    const handle = backend.installKey({ ...epoch, implicitIv: pattern(12, 1), prefix: V2.prefix });
    for (const [tailroom, fate] of [
      [15, FATE_DROPPED],
      [16, FATE_TO_LINK],
    ]) {
      // No row is longer than it says: 12, 100 and the tailroom are a multiple of 64.
      const vector = new PacketVector({ capacity: 1, headroom: 12, packetBytes: 128 - 12 - tailroom, tailroom });
      const row = append(vector, FATE_SEAL, handle, pattern(128 - 12 - tailroom, 3), 1);
      vector.packetIdHigh[row] = 0x0001_0000;
      const before = Array.from(vector.bytes);
      backend.sealBatch(vector);
      expect(vector.fate[row]).toBe(fate);
      if (fate === FATE_DROPPED) expect(Array.from(vector.bytes)).toEqual(before);
    }
  });

  it('the key of another peer, cipher or version opens nothing', () => {
    const backend = makeBackend();
    const mine = installPair(backend, 'AES-256-GCM', V2, 1);
    const others = [
      installPair(backend, 'AES-256-GCM', V2, 2),
      installPair(backend, 'AES-128-GCM', V2, 1),
      installPair(backend, 'CHACHA20-POLY1305', V2, 1),
      installPair(backend, 'AES-256-GCM', V1, 1),
      installPair(backend, 'AES-256-GCM', EPOCH, 1),
    ];
    const packet = sealOne(backend, mine.seal, 1, pattern(64, 3));
    for (const other of others) expect(openOne(backend, other.open, packet)).toBeUndefined();
    expect(openOne(backend, mine.open, packet)).toEqual(pattern(64, 3));
  });

  it('a key of one direction does not serve the other', () => {
    const backend = makeBackend();
    const pair = installPair(backend, 'AES-128-GCM', V2);
    const packet = sealOne(backend, pair.seal, 1, pattern(20, 3));
    expect(openOne(backend, pair.seal, packet)).toBeUndefined();
    const vector = makeVector();
    const row = append(vector, FATE_SEAL, pair.open, pattern(20, 3), 2);
    backend.sealBatch(vector);
    expect(vector.fate[row]).toBe(FATE_DROPPED);
  });
}

function describeBatches(makeBackend: () => AeadBackend): void {
  it('works through a vector of many keys, sizes and versions in place', () => {
    const backend = makeBackend();
    const pairs = CIPHERS.flatMap(([cipher], index) =>
      FORMS.map((form) => installPair(backend, cipher, form, index + 10)),
    );
    const count = 64;
    const tx = makeVector(count);
    for (let row = 0; row < count; row++) {
      append(tx, FATE_SEAL, pairs[row % pairs.length].seal, pattern(1 + ((row * 211) % 1500), row), row + 1);
    }
    const starts = Array.from(tx.offset);
    backend.sealBatch(tx);
    const rx = makeVector(count);
    for (let row = 0; row < count; row++) {
      const { head, tail } = FORMS[row % FORMS.length];
      expect(tx.fate[row]).toBe(FATE_TO_LINK);
      expect(tx.offset[row]).toBe(starts[row] - head);
      expect(tx.length[row]).toBe(head + 1 + ((row * 211) % 1500) + tail);
      append(rx, FATE_OPEN, pairs[row % pairs.length].open, tx.packet(row));
    }
    // One of them is spoiled: its neighbours do not suffer.
    rx.bytes[rx.offset[17] + 12] ^= 0xff;
    const arrived = Array.from(rx.offset);
    backend.openBatch(rx);
    for (let row = 0; row < count; row++) {
      if (row === 17) {
        expect(rx.fate[row]).toBe(FATE_DROPPED);
        continue;
      }
      expect(rx.fate[row]).toBe(FATE_INNER);
      expect(rx.slot[row]).toBe(5);
      expect(rx.packetIdLow[row]).toBe(row + 1);
      expect(rx.offset[row]).toBe(arrived[row] + FORMS[row % FORMS.length].head);
      expect(rx.packet(row)).toEqual(Uint8Array.from(pattern(1 + ((row * 211) % 1500), row)));
    }
  });

  it('leaves rows of other fates and rows without a key alone', () => {
    const backend = makeBackend();
    const pair = installPair(backend, 'AES-256-GCM', V2);
    const vector = makeVector(16);
    for (const fate of [0, 1, 2, 4, 6, 7]) append(vector, fate, pair.seal, pattern(40, fate));
    append(vector, FATE_SEAL, NO_KEY, pattern(40, 20));
    append(vector, FATE_OPEN, NO_KEY, pattern(40, 21));
    backend.sealBatch(vector);
    backend.openBatch(vector);
    expect(Array.from(vector.fate.subarray(0, vector.count))).toEqual([0, 1, 2, 4, 6, 7, FATE_SEAL, FATE_OPEN]);
    const packets = Array.from({ length: vector.count }, (_, row) => toHex(vector.packet(row)));
    expect(packets).toEqual([0, 1, 2, 4, 6, 7, 20, 21].map((seed) => toHex(pattern(40, seed))));
  });

  it('an empty vector is no work', () => {
    const backend = makeBackend();
    const vector = makeVector();
    backend.sealBatch(vector);
    backend.openBatch(vector);
    expect(vector.count).toBe(0);
  });

  it('writes the packet id as an unsigned number', () => {
    const backend = makeBackend();
    const pair = installPair(backend, 'AES-256-GCM', V2);
    const vector = makeVector();
    const packet = sealOne(backend, pair.seal, 0xfffffffe, pattern(5, 5));
    expect(toHex(packet.subarray(0, 8))).toBe('4a010203fffffffe');
    const row = append(vector, FATE_OPEN, pair.open, packet);
    backend.openBatch(vector);
    expect(vector.packetIdLow[row]).toBe(0xfffffffe);
  });
}

function describeKeys(makeBackend: () => AeadBackend): void {
  it('copies what a key is made of', () => {
    const backend = makeBackend();
    const key = pattern(32, 1);
    const implicitIv = pattern(8, 2);
    const prefix = Uint8Array.of(0x48, 0, 0, 1);
    const base = { cipher: 'AES-256-GCM' as const, key, implicitIv };
    const handle = backend.installKey({ ...base, direction: 'seal', prefix });
    const same = backend.installKey({ ...base, direction: 'seal', prefix });
    const first = sealOne(backend, handle, 1, pattern(10, 1));
    key.fill(0);
    implicitIv.fill(0);
    prefix.fill(0);
    expect(sealOne(backend, same, 1, pattern(10, 1))).toEqual(first);
  });

  it('rows with a retired key drop, in both directions; other keys go on', () => {
    const backend = makeBackend();
    const gone = installPair(backend, 'AES-256-GCM', V2, 1);
    const kept = installPair(backend, 'AES-256-GCM', V2, 2);
    const packet = sealOne(backend, gone.seal, 1, pattern(30, 1));
    backend.retireKey(gone.seal);
    backend.retireKey(gone.open);
    const tx = makeVector();
    append(tx, FATE_SEAL, gone.seal, pattern(30, 1), 2);
    append(tx, FATE_SEAL, kept.seal, pattern(30, 1), 2);
    backend.sealBatch(tx);
    expect(Array.from(tx.fate.subarray(0, 2))).toEqual([FATE_DROPPED, FATE_TO_LINK]);
    expect(openOne(backend, gone.open, packet)).toBeUndefined();
    expect(openOne(backend, kept.open, Uint8Array.from(tx.packet(1)))).toEqual(pattern(30, 1));
  });

  it('a handle that never was given out drops its row, and retiring it or a key twice is harmless', () => {
    const backend = makeBackend();
    const pair = installPair(backend, 'AES-128-GCM', V1);
    backend.retireKey(123_456);
    backend.retireKey(pair.seal);
    backend.retireKey(pair.seal);
    const first = backend.installKey({
      cipher: 'AES-128-GCM',
      key: pattern(16, 5),
      implicitIv: pattern(8, 5),
      direction: 'seal',
      prefix: V1.prefix,
    });
    const second = backend.installKey({
      cipher: 'AES-128-GCM',
      key: pattern(16, 6),
      implicitIv: pattern(8, 6),
      direction: 'seal',
      prefix: V1.prefix,
    });
    expect(second).not.toBe(first);
    const vector = makeVector();
    append(vector, FATE_SEAL, 123_456, pattern(8, 1), 1);
    append(vector, FATE_OPEN, 123_456, pattern(80, 1), 1);
    backend.sealBatch(vector);
    backend.openBatch(vector);
    expect(Array.from(vector.fate.subarray(0, 2))).toEqual([FATE_DROPPED, FATE_DROPPED]);
  });

  it('holds the keys of many peers', () => {
    const backend = makeBackend();
    const pairs = Array.from({ length: 300 }, (_, seed) => installPair(backend, 'AES-128-GCM', V2, seed));
    for (let index = 0; index < pairs.length; index += 2) {
      backend.retireKey(pairs[index].seal);
      backend.retireKey(pairs[index].open);
    }
    for (let index = 1; index < pairs.length; index += 2) {
      const packet = sealOne(backend, pairs[index].seal, index, pattern(20, index));
      expect(openOne(backend, pairs[index].open, packet)).toEqual(pattern(20, index));
    }
  });

  it('refuses keys of a wrong length: a bug of ours', () => {
    const backend = makeBackend();
    const good = {
      cipher: 'AES-256-GCM' as const,
      key: new Uint8Array(32),
      implicitIv: new Uint8Array(8),
      direction: 'seal' as const,
      prefix: Uint8Array.of(0x48, 0, 0, 0),
    };
    expect(() => backend.installKey({ ...good, key: new Uint8Array(16) })).toThrow(RangeError);
    expect(() => backend.installKey({ ...good, implicitIv: new Uint8Array(12) })).toThrow(RangeError);
    expect(() => backend.installKey({ ...good, prefix: new Uint8Array(2) })).toThrow(RangeError);
    expect(() => backend.installKey(good)).not.toThrow();
  });

  it('the same packet under another id has other bytes; an empty one is a header', () => {
    const backend = makeBackend();
    const pair = installPair(backend, 'CHACHA20-POLY1305', V2);
    const one = sealOne(backend, pair.seal, 1, pattern(17, 1));
    const two = sealOne(backend, pair.seal, 2, pattern(17, 1));
    expect(toHex(one.subarray(24))).not.toBe(toHex(two.subarray(24)));
    expect(sealOne(backend, pair.seal, 3, new Uint8Array()).length).toBe(24);
  });
}
