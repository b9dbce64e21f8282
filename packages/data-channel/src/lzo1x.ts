/** What the decompressors say of input that is no block, or that would give more than the target holds. */
export const NOT_DECOMPRESSED = -1;

/** A length of zero in an instruction goes on in the bytes that follow: each zero byte counts this much. */
const LENGTH_STEP = 255;

/**
 * Decompresses an LZO1X block, `source[start … end)`, into `target` from its beginning, and never past `limit` bytes of it. Total on any
 * input: time is bounded by input and limit.
 *
 * The format: an instruction is a copy of literals or of earlier output (a match); its last two bits, or the kind of instruction, decide
 * how the next small number is to be read. Kept in `state`: how many literals came with the last match (0 … 3), or 4 after a run of them.
 *
 * @returns the length of the output, or {@link NOT_DECOMPRESSED}
 */
export function decompressLzo1x(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  limit: number,
): number {
  let at = start;
  let out = 0;
  let state = 0;
  if (end - start < 3) return NOT_DECOMPRESSED;

  // A first byte above 17 is a run of literals.
  if (source[at] > 17) {
    const count = source[at] - 17;
    at += 1;
    if (count > end - at || count > limit) return NOT_DECOMPRESSED;
    for (; out < count; out++) target[out] = source[at++];
    state = Math.min(count, 4);
  }

  while (at < end) {
    const instruction = source[at++];
    let length = 0;
    let distance = 0;
    let literals = 0;

    if (instruction < 16 && state === 0) {
      // A run of literals.
      length = instruction + 3;
      if (instruction === 0) {
        const zeros = countZeros(source, at, end);
        if (at + zeros >= end) return NOT_DECOMPRESSED;
        length = 3 + 15 + zeros * LENGTH_STEP + source[at + zeros];
        at += zeros + 1;
      }
      if (length > end - at || length > limit - out) return NOT_DECOMPRESSED;
      for (let count = 0; count < length; count++) target[out++] = source[at++];
      state = 4;
      continue;
    }

    if (instruction < 16 || instruction >= 64) {
      // Matches whose distance is this instruction's bits and one byte.
      if (at >= end) return NOT_DECOMPRESSED;
      const next = source[at++];
      literals = instruction & 3;
      if (instruction >= 64) {
        length = (instruction >> 5) + 1;
        distance = (next << 3) + ((instruction >> 2) & 7) + 1;
      } else {
        length = state === 4 ? 3 : 2;
        distance = (next << 2) + (instruction >> 2) + (state === 4 ? 2049 : 1);
      }
    } else {
      // Matches whose distance is two bytes, with a length that may go on.
      const lengthMask = instruction >= 32 ? 31 : 7;
      length = (instruction & lengthMask) + 2;
      if (length === 2) {
        const zeros = countZeros(source, at, end);
        if (at + zeros >= end) return NOT_DECOMPRESSED;
        length = 2 + lengthMask + zeros * LENGTH_STEP + source[at + zeros];
        at += zeros + 1;
      }
      if (end - at < 2) return NOT_DECOMPRESSED;
      const word = source[at] | (source[at + 1] << 8);
      at += 2;
      literals = word & 3;
      distance = (word >> 2) + 1;
      if (instruction < 32) {
        distance = 16384 + ((instruction & 8) << 11) + (word >> 2);
        // The end of the block is a match of a distance that cannot be.
        if (distance === 16384) return at === end ? out : NOT_DECOMPRESSED;
      }
    }

    if (distance > out || length + literals > limit - out || literals > end - at) return NOT_DECOMPRESSED;
    // Byte by byte: a match may overlap what it writes.
    for (let count = 0; count < length; count++, out++) target[out] = target[out - distance];
    for (let count = 0; count < literals; count++) target[out++] = source[at++];
    state = literals;
  }
  // The input ended without the end of the block.
  return NOT_DECOMPRESSED;
}

function countZeros(source: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && source[at] === 0) at++;
  return at - from;
}
