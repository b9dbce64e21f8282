import { FATE_TO_LINK } from './fate.js';
import { ADDRESS_LINK, ADDRESS_WORDS } from './link-address.js';
import { type PacketVector, VECTOR_COLUMNS } from './packet-vector.js';

/**
 * Gives each datagram of the runs to one link a row of its own: rows TO_LINK with `segments` > 1, sealed by a backend that seals super-packets, for a link that sends one
 * datagram a row. Nothing is copied and the order stays: rows behind a run get other numbers.
 *
 * @returns the datagrams of runs for which there were not enough rows; they are dropped
 */
export function spreadRuns(vector: PacketVector, link: number): number {
  const { count, segments, room } = vector;
  let more = 0;
  let lost = 0;
  for (let row = 0; row < count; row += 1) {
    if (!isRun(vector, row, link)) continue;
    if (more + segments[row] - 1 > room) {
      lost += segments[row];
      vector.drop(row);
    } else {
      more += segments[row] - 1;
    }
  }
  // From the end, so that no row is written over before it has moved.
  let to = count + more;
  for (let row = count - 1; to > row + 1; row -= 1) {
    if (!isRun(vector, row, link)) {
      to -= 1;
      move(vector, row, to);
      continue;
    }
    const { offset, length, segmentBytes } = vector;
    const start = offset[row];
    const end = start + length[row];
    const step = segmentBytes[row];
    const parts = segments[row];
    for (let part = parts - 1; part >= 0; part -= 1) {
      to -= 1;
      move(vector, row, to);
      offset[to] = start + part * step;
      length[to] = Math.min(step, end - start - part * step);
      segments[to] = 1;
      segmentBytes[to] = 0;
    }
  }
  vector.count = count + more;
  return lost;
}

function isRun(vector: PacketVector, row: number, link: number): boolean {
  return (
    vector.segments[row] > 1 &&
    vector.fate[row] === FATE_TO_LINK &&
    vector.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] === link
  );
}

function move(vector: PacketVector, from: number, to: number): void {
  if (from === to) return;
  const { table, capacity, addresses } = vector;
  for (let column = 0; column < VECTOR_COLUMNS.length; column += 1) {
    table[column * capacity + to] = table[column * capacity + from];
  }
  addresses.copyWithin(to * ADDRESS_WORDS, from * ADDRESS_WORDS, (from + 1) * ADDRESS_WORDS);
}
