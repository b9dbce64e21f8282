import { halfSipHash } from '@openvpnd/external-mux';
import { describe, expect, it } from 'vitest';

describe('halfSipHash', () => {
  // Key 00 … 07, message 00 01 02 …, for lengths of 0, 4, … 32 bytes: the values by which the Linux kernel checks its hsiphash on 32-bit machines.
  it.each(
    [0x5814c896, 0x7e059ea6, 0x577999b1, 0x6b28096c, 0x8b31d501, 0x911bb605, 0x57150ad7, 0x0a4100d0, 0xbc6dda8d].map(
      (hash, words) => [words, hash],
    ),
  )('of %i words', (words, hash) => {
    const bytes = Uint8Array.from({ length: 40 }, (_, index) => index);
    const view = new DataView(bytes.buffer);
    const message = Uint32Array.from({ length: words + 2 }, (_, index) =>
      index < 2 ? 0xffffffff : view.getUint32((index - 2) * 4, true),
    );
    expect(halfSipHash(0x03020100, 0x07060504, message, 2, words)).toBe(hash);
  });
});
