/** Length of a session id. */
export const SESSION_ID_BYTES = 8;

/** Tells whether a session id is all zero, which stands for "none": a packet that carries it is to be dropped. */
export function isZeroSessionId(sessionId: Uint8Array): boolean {
  return sessionId.every((byte) => byte === 0);
}

/**
 * Compares two session ids. Not in constant time: session ids travel in clear. A cookie is compared by its maker.
 */
export function sessionIdsEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** A session id as 16 hex digits, for logs and as the key of a map. */
export function sessionIdHex(sessionId: Uint8Array): string {
  let text = '';
  for (const byte of sessionId) text += byte.toString(16).padStart(2, '0');
  return text;
}
