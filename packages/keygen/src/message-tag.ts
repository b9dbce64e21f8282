import { createHmac, timingSafeEqual } from 'node:crypto';

/** Length of a {@link messageTag}. */
export const MESSAGE_TAG_BYTES = 32;

/**
 * A tag that only who has the key can make: HMAC-SHA-256 over the parts one behind the other. They are not separated: the caller sees
 * to it that no two rows of parts give the same bytes. The result is the caller's.
 */
export function messageTag(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const hmac = createHmac('sha256', key);
  for (const part of parts) hmac.update(part);
  return Uint8Array.from(hmac.digest());
}

/** Whether two tags are the same, in a time that does not tell where they differ. Of different length they are not. */
export function sameTag(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}
