import type { PacketVector } from '@openvpnd/memory';
import {
  COMPRESS_LZ4_SWAP,
  COMPRESS_LZO,
  COMPRESS_LZO_NONE,
  COMPRESS_NONE_SWAP,
  COMPRESS_V2_HEADER_BYTES,
  COMPRESS_V2_INDICATOR,
  COMPRESS_V2_LZ4,
  COMPRESS_V2_NONE,
  COMPRESS_V2_NONE_MISTAKEN,
} from '@openvpnd/wire';
import { decompressLz4 } from './lz4-block.js';
import { decompressLzo1x, NOT_DECOMPRESSED } from './lzo1x.js';

/** How payloads are marked as compressed or not; both ends must agree. We never compress: it tells an eavesdropper about the plaintext. */
export interface CompressionSetting {
  /**
   * `lzo`: `comp-lzo` in all its forms, `compress lzo`. `swap`: `compress`, `compress stub`, `compress lz4`. `v2`: `compress stub-v2`,
   * `compress lz4-v2`.
   */
  readonly framing: 'lzo' | 'swap' | 'v2';
  /** Whether compressed payloads are taken; false for `comp-lzo no` and the stubs. */
  readonly decompress: boolean;
}

/** The compression framing of one peer, stateless. What it cannot read it refuses; output is bounded by what a row holds. */
export class CompressionFraming {
  readonly #framing: CompressionSetting['framing'];
  readonly #decompress: boolean;
  #scratch: Uint8Array = new Uint8Array(0);

  constructor(setting: CompressionSetting) {
    this.#framing = setting.framing;
    this.#decompress = setting.decompress;
  }

  /** Marks the payload of a row as not compressed, in place. False when there is no room for the mark. */
  frame(vector: PacketVector, row: number): boolean {
    const { bytes } = vector;
    const offset = vector.offset[row];
    const rowStart = row * vector.strideBytes;
    switch (this.#framing) {
      case 'lzo':
        if (offset === rowStart) return false;
        return prepend(vector, row, COMPRESS_LZO_NONE);
      case 'swap': {
        const end = offset + vector.length[row];
        if (end === rowStart + vector.strideBytes) return false;
        bytes[end] = bytes[offset];
        bytes[offset] = COMPRESS_NONE_SWAP;
        vector.length[row] += 1;
        return true;
      }
      case 'v2':
        // No IP packet begins with this byte, only a frame of a tap device.
        if (bytes[offset] !== COMPRESS_V2_INDICATOR) return true;
        if (offset - rowStart < COMPRESS_V2_HEADER_BYTES) return false;
        return prepend(vector, row, COMPRESS_V2_NONE) && prepend(vector, row, COMPRESS_V2_INDICATOR);
    }
  }

  /** Makes the row the payload that was framed. False when the mark is unknown or the block no block. */
  unframe(vector: PacketVector, row: number): boolean {
    const { bytes } = vector;
    const offset = vector.offset[row];
    const length = vector.length[row];
    if (length === 0) return false;
    const mark = bytes[offset];
    switch (this.#framing) {
      case 'lzo':
        if (mark === COMPRESS_LZO_NONE) return strip(vector, row, 1);
        return mark === COMPRESS_LZO && this.#expand(vector, row, 1, decompressLzo1x);
      case 'swap':
        if (length < 2 || (mark !== COMPRESS_NONE_SWAP && mark !== COMPRESS_LZ4_SWAP)) return false;
        bytes[offset] = bytes[offset + length - 1];
        vector.length[row] = length - 1;
        return mark === COMPRESS_NONE_SWAP || this.#expand(vector, row, 0, decompressLz4);
      case 'v2':
        if (mark !== COMPRESS_V2_INDICATOR) return true;
        if (length <= COMPRESS_V2_HEADER_BYTES) return false;
        if (bytes[offset + 1] === COMPRESS_V2_LZ4) {
          return this.#expand(vector, row, COMPRESS_V2_HEADER_BYTES, decompressLz4);
        }
        if (bytes[offset + 1] !== COMPRESS_V2_NONE && bytes[offset + 1] !== COMPRESS_V2_NONE_MISTAKEN) return false;
        return strip(vector, row, COMPRESS_V2_HEADER_BYTES);
    }
  }

  #expand(vector: PacketVector, row: number, headerBytes: number, decompress: typeof decompressLz4): boolean {
    if (!this.#decompress) return false;
    const { bytes } = vector;
    const limit = vector.packetBytes;
    if (this.#scratch.length < limit) this.#scratch = new Uint8Array(limit);
    const start = vector.offset[row] + headerBytes;
    const end = vector.offset[row] + vector.length[row];
    const length = decompress(bytes, start, end, this.#scratch, limit);
    if (length === NOT_DECOMPRESSED) return false;
    vector.offset[row] = vector.startOf(row);
    vector.length[row] = length;
    bytes.set(this.#scratch.subarray(0, length), vector.offset[row]);
    return true;
  }
}

function prepend(vector: PacketVector, row: number, byte: number): true {
  vector.offset[row] -= 1;
  vector.length[row] += 1;
  vector.bytes[vector.offset[row]] = byte;
  return true;
}

function strip(vector: PacketVector, row: number, count: number): true {
  vector.offset[row] += count;
  vector.length[row] -= count;
  return true;
}
