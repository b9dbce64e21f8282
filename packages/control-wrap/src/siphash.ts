/**
 * SipHash-2-4: a short hash that nobody can aim without the key, for tables whose keys a stranger chooses.
 *
 * @param key 16 bytes
 * @returns 8 or 16 bytes in the order of the reference implementation
 */
export function sipHash24(key: Uint8Array, message: Uint8Array, outputBytes: 8 | 16 = 8): Uint8Array {
  // 64-bit words as pairs of 32-bit halves, low half first: v0 … v3.
  const keyWords = new Uint32Array(4);
  for (let i = 0; i < 16; i++) keyWords[i >> 2]! |= key[i]! << (8 * (i & 3));
  const v = Uint32Array.of(
    0x7073_6575,
    0x736f_6d65,
    0x6e64_6f6d,
    0x646f_7261,
    0x6e65_7261,
    0x6c79_6765,
    0x7974_6573,
    0x7465_6462,
  );
  for (let i = 0; i < 8; i++) v[i]! ^= keyWords[i & 3]!;
  if (outputBytes === 16) v[2]! ^= 0xee;

  const whole = message.length & ~7;
  for (let offset = 0; offset <= whole; offset += 8) {
    let low = 0;
    let high = 0;
    for (let i = 0; i < 4; i++) {
      low |= (message[offset + i] ?? 0) << (8 * i);
      high |= (message[offset + 4 + i] ?? 0) << (8 * i);
    }
    // The last word is filled up with zeros and carries the length.
    if (offset === whole) high |= (message.length & 0xff) << 24;
    v[6]! ^= low;
    v[7]! ^= high;
    rounds(v, 2);
    v[0]! ^= low;
    v[1]! ^= high;
  }

  const output = new Uint8Array(outputBytes);
  v[4]! ^= outputBytes === 16 ? 0xee : 0xff;
  rounds(v, 4);
  write(output, 0, v);
  if (outputBytes === 16) {
    v[2]! ^= 0xdd;
    rounds(v, 4);
    write(output, 8, v);
  }
  return output;
}

function rounds(v: Uint32Array, count: number): void {
  for (let i = 0; i < count; i++) {
    addRotateXor(v, 0, 2, 13);
    swap(v, 0);
    addRotateXor(v, 4, 6, 16);
    addRotateXor(v, 0, 6, 21);
    addRotateXor(v, 4, 2, 17);
    swap(v, 4);
  }
}

/** a += b; b = rotate(b, bits) ^ a. */
function addRotateXor(v: Uint32Array, a: number, b: number, bits: number): void {
  const low = v[a]! + v[b]!;
  v[a + 1] = v[a + 1]! + v[b + 1]! + (low > 0xffff_ffff ? 1 : 0);
  v[a] = low;
  const bLow = v[b]!;
  const bHigh = v[b + 1]!;
  v[b] = ((bLow << bits) | (bHigh >>> (32 - bits))) ^ v[a]!;
  v[b + 1] = ((bHigh << bits) | (bLow >>> (32 - bits))) ^ v[a + 1]!;
}

/** Rotation by 32 bits. */
function swap(v: Uint32Array, a: number): void {
  const low = v[a]!;
  v[a] = v[a + 1]!;
  v[a + 1] = low;
}

function write(output: Uint8Array, offset: number, v: Uint32Array): void {
  for (let i = 0; i < 8; i++) {
    const word = v[i >> 2]! ^ v[2 + (i >> 2)]! ^ v[4 + (i >> 2)]! ^ v[6 + (i >> 2)]!;
    output[offset + i] = word >>> (8 * (i & 3));
  }
}
