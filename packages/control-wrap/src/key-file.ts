import { Secret } from '@openvpnd/sans-io';

/** Length of a key file of tls-auth and tls-crypt, and of a tls-crypt-v2 client key: two slots. OpenVPN: struct key2. */
export const CONTROL_KEY_BYTES = 256;
const SLOT_BYTES = 128;
const HALF_BYTES = 64;

/** The cipher half of a slot, borrowed. */
export function cipherHalf(key: Secret, slot: 0 | 1, length: number): Uint8Array {
  return key.bytes.subarray(slot * SLOT_BYTES, slot * SLOT_BYTES + length);
}

/** The HMAC half of a slot, borrowed. */
export function hmacHalf(key: Secret, slot: 0 | 1, length: number): Uint8Array {
  return key.bytes.subarray(slot * SLOT_BYTES + HALF_BYTES, slot * SLOT_BYTES + HALF_BYTES + length);
}

/**
 * The key that wraps the control packets of a session's renegotiations: exported from TLS and, where a key file is in
 * use, XORed with all of it. OpenVPN: tls_session_generate_dynamic_tls_crypt_key().
 *
 * @param ekm {@link CONTROL_KEY_BYTES} bytes under the label of dynamic tls-crypt
 * @param fileKey of tls-auth, tls-crypt, or the tls-crypt-v2 client key
 */
export function dynamicTlsCryptKey(ekm: Uint8Array, fileKey?: Secret): Secret {
  if (ekm.length !== CONTROL_KEY_BYTES) throw new RangeError(`exported key of ${ekm.length} bytes`);
  if (!fileKey) return new Secret(ekm);
  checkControlKey(fileKey);
  const mixed = ekm.map((byte, i) => byte ^ fileKey.bytes[i]!);
  const key = new Secret(mixed);
  mixed.fill(0);
  return key;
}

/** Refuses a key of another length, which is a bug of ours. */
export function checkControlKey(key: Secret): void {
  if (key.length !== CONTROL_KEY_BYTES) throw new RangeError(`a control channel key has ${CONTROL_KEY_BYTES} bytes`);
}
