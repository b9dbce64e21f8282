/**
 * HalfSipHash-1-3 over 32-bit words: a hash whose collisions nobody finds without the key, for tables whose keys a peer
 * chooses. Not a MAC. It equals the byte-wise function over the words in little-endian order.
 *
 * @param key0 low half of the key
 * @param key1 high half of the key
 * @param words where the words stand
 * @param from index of the first
 * @param count how many; below 64
 * @returns 32 bits, unsigned
 */
export function halfSipHash(key0: number, key1: number, words: Uint32Array, from: number, count: number): number {
  let v0 = key0 | 0;
  let v1 = key1 | 0;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  // One round for each word and for the length, then three with nothing to absorb.
  for (let round = 0; round < count + 4; round += 1) {
    const word = round < count ? words[from + round] : round === count ? (count * 4) << 24 : 0;
    if (round === count + 1) v2 ^= 0xff;
    v3 ^= word;
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return (v1 ^ v3) >>> 0;
}
