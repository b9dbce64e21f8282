import type { SeededRandom } from '@openvpnd/testkit';

/** Every length that is shorter. */
export function truncations(packet: Uint8Array): Uint8Array[] {
  return Array.from({ length: packet.length }, (_, length) => packet.subarray(0, length));
}

/** Each bit of the first bytes flipped, one at a time. */
export function bitFlips(packet: Uint8Array, bytes: number): Uint8Array[] {
  const flipped: Uint8Array[] = [];
  for (let bit = 0; bit < Math.min(bytes, packet.length) * 8; bit += 1) {
    const copy = packet.slice();
    copy[bit >> 3] ^= 1 << (bit & 7);
    flipped.push(copy);
  }
  return flipped;
}

/** Every first byte, opcodes that do not exist included, in front of what follows in `packet`. */
export function firstBytes(packet: Uint8Array): Uint8Array[] {
  return Array.from({ length: 256 }, (_, first) => {
    const copy = packet.slice();
    copy[0] = first;
    return copy;
  });
}

/** Random bytes. */
export function noise(random: SeededRandom, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  random.fill(bytes);
  return bytes;
}

/** Up to eight bytes replaced, and now and then the whole doubled or its tail cut off. */
export function mangled(random: SeededRandom, packet: Uint8Array): Uint8Array {
  const copy = packet.slice();
  for (let left = 1 + random.below(8); left > 0 && copy.length > 0; left -= 1) {
    copy[random.below(copy.length)] = random.below(256);
  }
  if (random.chance(0.1)) return copy.subarray(0, random.below(copy.length + 1));
  if (random.chance(0.1)) return Buffer.concat([copy, copy]);
  return copy;
}
