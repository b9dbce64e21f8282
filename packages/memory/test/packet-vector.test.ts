import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_RAW,
  FATE_SEAL,
  NO_KEY,
  NO_SLOT,
  PacketVector,
  type PacketVectorOptions,
  VECTOR_COLUMNS,
} from '../src/index.js';

const SHAPE: PacketVectorOptions = { capacity: 3, headroom: 24, packetBytes: 100, tailroom: 16 };

describe('PacketVector', () => {
  it('lies in three arrays that native code can share: rows on cache lines, columns one after the other', () => {
    const vector = new PacketVector(SHAPE);
    expect(vector.strideBytes).toBe(192);
    expect(vector.bytes).toHaveLength(3 * 192);
    expect(vector.addresses).toHaveLength(3 * ADDRESS_WORDS);
    expect(vector.table).toHaveLength(VECTOR_COLUMNS.length * 3);
    for (const [index, name] of VECTOR_COLUMNS.entries()) {
      vector[name].fill(index + 1);
      expect(vector[name]).toHaveLength(3);
    }
    expect([...vector.table]).toEqual(VECTOR_COLUMNS.flatMap((_, index) => Array(3).fill(index + 1)));
    expect(vector.view.buffer).toBe(vector.bytes.buffer);
  });

  it("a fresh row is empty, raw, and nobody's, whatever stood there", () => {
    const vector = new PacketVector(SHAPE);
    vector.append();
    vector.table.fill(77);
    vector.reset();
    expect([vector.count, vector.room]).toEqual([0, 3]);
    const row = vector.append();
    expect(VECTOR_COLUMNS.map((name) => vector[name][row])).toEqual([24, 0, NO_SLOT, FATE_RAW, NO_KEY, 0, 0, 1, 0, 0]);
    expect([vector.count, vector.room]).toEqual([1, 2]);
  });

  it('takes as many rows as it has, and no more', () => {
    const vector = new PacketVector(SHAPE);
    expect([0, 1, 2, 3].map(() => vector.append())).toEqual([0, 1, 2, -1]);
    expect(vector.appendCopy(new Uint8Array(1))).toBe(-1);
    expect(vector.count).toBe(3);
  });

  it('copies a packet that fits, and refuses one that is a byte too long without using a row', () => {
    const vector = new PacketVector(SHAPE);
    expect(vector.appendCopy(new Uint8Array(101))).toBe(-1);
    expect(vector.count).toBe(0);
    const packet = new Uint8Array(100).fill(7);
    expect(vector.appendCopy(packet)).toBe(0);
    packet.fill(0);
    expect([...vector.packet(0)]).toEqual(Array(100).fill(7));
    expect(vector.appendCopy(new Uint8Array(0))).toBe(1);
    expect(vector.packet(1)).toHaveLength(0);
  });

  it('a view of a packet follows its offset and length', () => {
    const vector = new PacketVector(SHAPE);
    const row = vector.appendCopy(Uint8Array.of(1, 2, 3));
    vector.offset[row] -= 1;
    vector.length[row] += 1;
    vector.bytes[vector.offset[row]] = 9;
    expect([...vector.packet(row)]).toEqual([9, 1, 2, 3]);
    expect(vector.offset[row]).toBe(vector.startOf(row) - 1);
  });

  it('drop changes the fate alone', () => {
    const vector = new PacketVector(SHAPE);
    const row = vector.appendCopy(Uint8Array.of(1));
    vector.fate[row] = FATE_SEAL;
    vector.drop(row);
    expect(vector.fate[row]).toBe(FATE_DROPPED);
    expect(vector.length[row]).toBe(1);
  });

  it('refuses shapes that do not exist', () => {
    for (const capacity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => new PacketVector({ ...SHAPE, capacity })).toThrow(RangeError);
    }
    for (const bytes of [-1, 0.5, Number.NaN]) {
      expect(() => new PacketVector({ ...SHAPE, headroom: bytes })).toThrow(RangeError);
      expect(() => new PacketVector({ ...SHAPE, packetBytes: bytes })).toThrow(RangeError);
      expect(() => new PacketVector({ ...SHAPE, tailroom: bytes })).toThrow(RangeError);
    }
    expect(() => new PacketVector({ ...SHAPE, capacity: 65536, packetBytes: 65536 })).toThrow(RangeError);
    expect(() => new PacketVector({ capacity: 1, headroom: 0, packetBytes: 1, tailroom: 0 })).not.toThrow();
  });

  it('rows never overlap, with headroom and tailroom', () => {
    const size = fc.nat(300);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), size, size, size, (capacity, headroom, packetBytes, tailroom) => {
        const vector = new PacketVector({ capacity, headroom, packetBytes, tailroom });
        let end = 0;
        for (let row = 0; row < capacity; row += 1) {
          expect(vector.appendCopy(new Uint8Array(packetBytes))).toBe(row);
          const start = vector.offset[row] - headroom;
          expect(start).toBeGreaterThanOrEqual(end);
          expect(start % 64).toBe(0);
          end = vector.offset[row] + packetBytes + tailroom;
        }
        expect(end).toBeLessThanOrEqual(vector.bytes.length);
      }),
      { seed: 1, numRuns: 100 },
    );
  });
});
