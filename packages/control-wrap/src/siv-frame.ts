import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';

/** Length of the tag that tls-crypt and wrapped client keys begin with. */
export const SIV_TAG_BYTES = 32;
/** Length of both keys. */
export const SIV_KEY_BYTES = 32;

/** The two keys of one direction, borrowed from a key file. */
export interface SivKeys {
  readonly cipherKey: Uint8Array;
  readonly macKey: Uint8Array;
}

/**
 * Seals a text so that the tag is also its IV: tag = HMAC-SHA256(header ‖ text), ciphertext = AES-256-CTR with the tag's
 * first 16 bytes. Two equal texts under one header give equal bytes, which the packet id in the header prevents.
 * OpenVPN: tls_crypt_wrap().
 *
 * @returns tag ‖ ciphertext
 */
export function sealSiv(keys: SivKeys, header: Uint8Array, text: Uint8Array): Uint8Array {
  const tag = createHmac('sha256', keys.macKey).update(header).update(text).digest();
  const sealed = new Uint8Array(SIV_TAG_BYTES + text.length);
  sealed.set(tag);
  sealed.set(createCipheriv('aes-256-ctr', keys.cipherKey, tag.subarray(0, 16)).update(text), SIV_TAG_BYTES);
  return sealed;
}

/** Opens what {@link sealSiv} sealed, or answers undefined. */
export function openSiv(keys: SivKeys, header: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  if (sealed.length < SIV_TAG_BYTES) return undefined;
  const tag = sealed.subarray(0, SIV_TAG_BYTES);
  const text = createDecipheriv('aes-256-ctr', keys.cipherKey, tag.subarray(0, 16)).update(
    sealed.subarray(SIV_TAG_BYTES),
  );
  const expected = createHmac('sha256', keys.macKey).update(header).update(text).digest();
  if (timingSafeEqual(tag, expected)) return text;
  text.fill(0);
  return undefined;
}
