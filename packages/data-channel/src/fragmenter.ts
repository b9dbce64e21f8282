import { FATE_SEAL, type PacketVector } from '@openvpnd/memory';
import {
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_LAST,
  FRAGMENT_NOT_LAST,
  FRAGMENT_SEQUENCE_IDS,
  FRAGMENT_WHOLE,
  fragmentHeader,
  MAX_FRAGMENTS,
} from '@openvpnd/wire';

/** Cuts one peer's payloads into parts that the link carries (`--fragment`). OpenVPN: fragment_outgoing(). */
export class Fragmenter {
  readonly #partBytes: number;
  #sequenceId: number;

  /** `partBytes`: the longest part, without its header, as keygen's `fragmentPartOf()` gives it. `firstSequenceId`: random, 0 … 255. */
  constructor(partBytes: number, firstSequenceId: number) {
    if (partBytes < 4) throw new RangeError('a fragment has at least four bytes');
    this.#partBytes = partBytes;
    this.#sequenceId = firstSequenceId;
  }

  /**
   * Gives a row with fate SEAL its fragment header. A longer payload keeps its first part in the row; the others are appended to `more`, as
   * rows with fate SEAL for the same slot. False when there is no room for them, or the payload too long: then nothing was changed.
   */
  cut(vector: PacketVector, row: number, more: PacketVector): boolean {
    const length = vector.length[row];
    if (vector.offset[row] - row * vector.strideBytes < FRAGMENT_HEADER_BYTES) return false;
    if (length <= this.#partBytes) {
      prependHeader(vector, row, fragmentHeader(FRAGMENT_WHOLE, 0, 0, 0));
      return true;
    }
    const longest = this.#partBytes - (this.#partBytes % 4);
    const count = Math.ceil(length / longest);
    if (count > MAX_FRAGMENTS || more.room < count - 1 || more.packetBytes < longest) return false;
    // Parts of about the same size rather than one that is nearly empty.
    const partBytes = Math.min(longest, Math.ceil(length / count / 4) * 4);
    this.#sequenceId = (this.#sequenceId + 1) % FRAGMENT_SEQUENCE_IDS;
    for (let number = 1; number < count; number++) {
      const start = vector.offset[row] + number * partBytes;
      const isLast = number === count - 1;
      const part = more.appendCopy(
        vector.bytes.subarray(start, isLast ? vector.offset[row] + length : start + partBytes),
      );
      more.slot[part] = vector.slot[row];
      more.fate[part] = FATE_SEAL;
      more.trafficClass[part] = vector.trafficClass[row];
      const type = isLast ? FRAGMENT_LAST : FRAGMENT_NOT_LAST;
      prependHeader(more, part, fragmentHeader(type, this.#sequenceId, number, isLast ? partBytes : 0));
    }
    vector.length[row] = partBytes;
    prependHeader(vector, row, fragmentHeader(FRAGMENT_NOT_LAST, this.#sequenceId, 0, 0));
    return true;
  }
}

function prependHeader(vector: PacketVector, row: number, header: number): void {
  vector.offset[row] -= FRAGMENT_HEADER_BYTES;
  vector.length[row] += FRAGMENT_HEADER_BYTES;
  vector.view.setUint32(vector.offset[row], header);
}
