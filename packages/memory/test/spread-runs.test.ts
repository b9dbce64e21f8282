import { describe, expect, it } from 'vitest';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_INNER,
  FATE_TO_LINK,
  PacketVector,
  spreadRuns,
} from '../src/index.js';

const LINK = 7;

/** Rows of these lengths, in segments of 100 bytes, filled with their number. */
function vector(capacity: number, lengths: readonly number[], link = LINK): PacketVector {
  const rows = new PacketVector({ capacity, headroom: 0, packetBytes: 1000, tailroom: 0 });
  for (const [index, length] of lengths.entries()) {
    const row = rows.appendCopy(Uint8Array.from({ length }, (_, at) => index * 16 + Math.floor(at / 100)));
    rows.fate[row] = FATE_TO_LINK;
    rows.slot[row] = index;
    rows.segments[row] = Math.ceil(length / 100);
    rows.segmentBytes[row] = length > 100 ? 100 : 0;
    rows.addresses[row * ADDRESS_WORDS] = index;
    rows.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] = link;
  }
  return rows;
}

const shape = (rows: PacketVector): unknown[] =>
  Array.from({ length: rows.count }, (_, row) => [
    rows.slot[row],
    rows.addresses[row * ADDRESS_WORDS],
    rows.length[row],
    rows.packet(row)[0],
    rows.segments[row],
    rows.segmentBytes[row],
  ]);

describe('spreadRuns', () => {
  it('gives each datagram a row, in the order that was', () => {
    const rows = vector(8, [50, 250, 100, 101]);
    expect(spreadRuns(rows, LINK)).toBe(0);
    expect(shape(rows)).toEqual([
      [0, 0, 50, 0, 1, 0],
      [1, 1, 100, 16, 1, 0],
      [1, 1, 100, 17, 1, 0],
      [1, 1, 50, 18, 1, 0],
      [2, 2, 100, 32, 1, 0],
      [3, 3, 100, 48, 1, 0],
      [3, 3, 1, 49, 1, 0],
    ]);
  });

  it('leaves alone what goes through other links, or has another fate', () => {
    const other = vector(8, [250, 50], LINK + 1);
    expect(spreadRuns(other, LINK)).toBe(0);
    expect(other.count).toBe(2);
    const inner = vector(8, [250]);
    inner.fate[0] = FATE_INNER;
    expect(spreadRuns(inner, LINK)).toBe(0);
    expect(shape(inner)).toEqual([[0, 0, 250, 0, 3, 100]]);
  });

  it('drops the runs for which there are not enough rows, and says how many datagrams those are', () => {
    const rows = vector(5, [250, 350, 200, 10]);
    expect(spreadRuns(rows, LINK)).toBe(3 + 4);
    expect([...rows.fate.subarray(0, rows.count)]).toEqual([
      FATE_DROPPED,
      FATE_DROPPED,
      FATE_TO_LINK,
      FATE_TO_LINK,
      FATE_TO_LINK,
    ]);
    expect(rows.count).toBe(5);
  });
});
