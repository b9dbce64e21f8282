import { NOT_DECOMPRESSED } from './lzo1x.js';

const MIN_MATCH = 4;
/** A length of fifteen goes on in the bytes that follow, until one is below 255. */
const LONG = 15;

/**
 * Decompresses an LZ4 block, `source[start … end)`, into `target` from its beginning, and never past `limit` bytes of it. Total on any input.
 *
 * The format: sequences of a token (length of literals, length of match), the literals, and a distance of two bytes; the last sequence ends
 * with its literals.
 *
 * @returns the length of the output, or NOT_DECOMPRESSED
 */
export function decompressLz4(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  limit: number,
): number {
  let at = start;
  let out = 0;
  while (at < end) {
    const token = source[at++];
    let literals = token >> 4;
    if (literals === LONG) {
      let more = 255;
      while (more === 255) {
        if (at >= end) return NOT_DECOMPRESSED;
        more = source[at++];
        literals += more;
      }
    }
    if (literals > end - at || literals > limit - out) return NOT_DECOMPRESSED;
    for (let count = 0; count < literals; count++) target[out++] = source[at++];
    if (at === end) return out;

    if (end - at < 2) return NOT_DECOMPRESSED;
    const distance = source[at] | (source[at + 1] << 8);
    at += 2;
    let length = (token & 15) + MIN_MATCH;
    if ((token & 15) === LONG) {
      let more = 255;
      while (more === 255) {
        if (at >= end) return NOT_DECOMPRESSED;
        more = source[at++];
        length += more;
      }
    }
    if (distance === 0 || distance > out || length > limit - out) return NOT_DECOMPRESSED;
    // Byte by byte: a match may overlap what it writes.
    for (let count = 0; count < length; count++, out++) target[out] = target[out - distance];
  }
  // A block ends with literals; an empty one is none.
  return NOT_DECOMPRESSED;
}
