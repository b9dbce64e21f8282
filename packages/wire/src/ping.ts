/** The keep-alive payload inside the data channel, 16 bytes, nothing else. Do not write into it. OpenVPN: ping_string. */
export const PING_PAYLOAD: Uint8Array = Uint8Array.of(
  0x2a,
  0x18,
  0x7b,
  0xf3,
  0x64,
  0x1e,
  0xb4,
  0xcb,
  0x07,
  0xed,
  0x2d,
  0x0a,
  0x98,
  0x1f,
  0xc7,
  0x48,
);

/** Tells whether the decrypted payload at `offset` is a keep-alive. Allocates nothing. */
export function isPing(bytes: Uint8Array, offset: number, length: number): boolean {
  if (length !== PING_PAYLOAD.length) return false;
  for (let i = 0; i < PING_PAYLOAD.length; i++) if (bytes[offset + i] !== PING_PAYLOAD[i]) return false;
  return true;
}
