import './native-build.js';
import { readFileSync } from 'node:fs';
import type { AeadKeyOptions } from '@openvpnd/data-channel';
import { describeAeadBackend } from '@openvpnd/data-channel/conformance';
import {
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  PacketVector,
  VECTOR_COLUMNS,
} from '@openvpnd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { nativeBackend } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';

describeAeadBackend('evp', () => nativeBackend('evp'));
describe.skipIf(!nativeAddon().multiBuffer().usable)('libipsec-mb', () => {
  describeAeadBackend('libipsec-mb', () => nativeBackend('libipsec-mb'));
});

const PREFIX = Uint8Array.of(0x48, 0, 0, 7);
const KEY: Omit<AeadKeyOptions, 'direction'> = {
  cipher: 'AES-256-GCM',
  key: new Uint8Array(32).fill(3),
  implicitIv: new Uint8Array(8).fill(5),
  prefix: PREFIX,
};

function vector(capacity = 8): PacketVector {
  return new PacketVector({ capacity, headroom: 32, packetBytes: 256, tailroom: 0 });
}

describe('evp backend: a descriptor table that is wrong', () => {
  const backend = nativeBackend();
  const seal = backend.installKey({ ...KEY, direction: 'seal' });
  const open = backend.installKey({ ...KEY, direction: 'open' });

  it('drops rows that do not lie in the slab with their header, and touches no byte', () => {
    const wrong: [offset: number, length: number][] = [
      [0, 10],
      [23, 10],
      [0xffffffff, 1],
      [0xfffffff0, 0x20],
      [24, 0xffffffff],
      [24, 0x7fffffff],
    ];
    const rows = vector();
    const end = rows.bytes.length;
    wrong.push([end, 1], [end - 4, 5]);
    for (const [offset, length] of wrong) {
      const row = rows.append();
      rows.fate[row] = FATE_SEAL;
      rows.key[row] = seal;
      rows.offset[row] = offset;
      rows.length[row] = length;
    }
    const before = rows.bytes.slice();
    backend.sealBatch(rows);
    expect([...rows.fate.subarray(0, rows.count)]).toEqual(wrong.map(() => FATE_DROPPED));
    expect(rows.bytes).toEqual(before);
    for (let row = 0; row < rows.count; row += 1) {
      if (rows.offset[row] <= 24) continue;
      rows.fate[row] = FATE_OPEN;
      rows.key[row] = open;
    }
    backend.openBatch(rows);
    expect([...rows.fate.subarray(0, rows.count)]).toEqual(wrong.map(() => FATE_DROPPED));
  });

  it('seals at the very edges of the slab', () => {
    const rows = vector(1);
    const row = rows.append();
    rows.fate[row] = FATE_SEAL;
    rows.key[row] = seal;
    rows.offset[row] = 24;
    rows.length[row] = rows.bytes.length - 24;
    backend.sealBatch(rows);
    expect(rows.fate[row]).toBe(FATE_TO_LINK);
    expect(rows.length[row]).toBe(rows.bytes.length);
    rows.fate[row] = FATE_OPEN;
    rows.key[row] = open;
    backend.openBatch(rows);
    expect(rows.fate[row]).toBe(FATE_INNER);
    expect(rows.length[row]).toBe(rows.bytes.length - 24);
  });

  it('survives any table', () => {
    const word = fc.oneof(
      fc.nat(400),
      fc.integer({ min: 0, max: 0xffffffff }),
      fc.constantFrom(0x7fffffff, 0xffffffff),
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(word, word, fc.constantFrom(seal, open, 99), fc.nat(8)), { maxLength: 8 }),
        (list) => {
          const rows = vector();
          for (const [offset, length, key, fate] of list) {
            const row = rows.append();
            rows.offset[row] = offset;
            rows.length[row] = length;
            rows.key[row] = key;
            rows.fate[row] = fate;
          }
          backend.sealBatch(rows);
          backend.openBatch(rows);
          for (let row = 0; row < rows.count; row += 1) {
            if (rows.fate[row] === FATE_DROPPED) continue;
            if (rows.fate[row] === FATE_TO_LINK && list[row][3] === FATE_SEAL) {
              expect(rows.offset[row] + rows.length[row]).toBeLessThanOrEqual(rows.bytes.length);
            }
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });

  it('refuses a count beyond the capacity and an unknown vector', () => {
    const addon = nativeAddon();
    const rows = vector(2);
    rows.count = 3;
    expect(() => backend.sealBatch(rows)).toThrow(TypeError);
    expect(() => addon.sealBatch(4242, 0)).toThrow(TypeError);
    expect(() => addon.sealBatch(-1, 0)).toThrow(TypeError);
  });

  it('refuses to register arrays that do not hold the rows', () => {
    const addon = nativeAddon();
    const bytes = new Uint8Array(new SharedArrayBuffer(1024));
    const table = new Uint32Array(new SharedArrayBuffer(VECTOR_COLUMNS.length * 16));
    const addresses = new Uint32Array(new SharedArrayBuffer(8 * 16));
    const good = [bytes, table, addresses, 4, 32, 200, 256] as const;
    const index = addon.registerVector(...good);
    expect(index).toBeGreaterThanOrEqual(0);
    addon.forgetVector(index);
    addon.forgetVector(index);
    expect(() => addon.openBatch(index, 0)).toThrow(TypeError);
    // What could be transferred would leave the addon with a pointer to freed memory.
    expect(() => addon.registerVector(bytes.slice(), table, addresses, 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table.slice(), addresses, 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table, addresses.slice(), 4, 32, 200, 256)).toThrow(TypeError);
    const small = new Uint8Array(new SharedArrayBuffer(1023));
    expect(() => addon.registerVector(small, table, addresses, 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table.subarray(1), addresses, 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table, addresses.subarray(1), 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table, addresses, 4, 100, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table, addresses, 0, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector(bytes, table, addresses, 0x10000, 32, 200, 0x10000)).toThrow(TypeError);
    expect(() => addon.registerVector(table as never, table, addresses, 4, 32, 200, 256)).toThrow(TypeError);
    expect(() => addon.registerVector({} as never, table, addresses, 4, 32, 200, 256)).toThrow(TypeError);
  });

  it('has the ciphers of the port and no other', () => {
    expect(() => backend.installKey({ ...KEY, cipher: 'AES-256-CBC' as never, direction: 'seal' })).toThrow(
      expect.objectContaining({ code: 'ERR_AEAD_UNSUPPORTED' }),
    );
  });
});

describe('data_aead.json', () => {
  it('is the copy that the conformance suite runs', () => {
    const own = readFileSync(new URL('vectors/data_aead.json', import.meta.url), 'utf8');
    expect(own).toBe(readFileSync(new URL('../../data-channel/test/vectors/data_aead.json', import.meta.url), 'utf8'));
  });
});
