import { createHmac } from 'node:crypto';
import { Secret } from '@openvpnd/sans-io';

/** Length of the secret of an epoch. */
export const EPOCH_SECRET_BYTES = 32;
/** Length of the IV of an epoch: it is XORed with epoch, counter and zeros to make a nonce. */
export const EPOCH_IV_BYTES = 12;
/** The first epoch; 0 is never used. */
export const FIRST_EPOCH = 1;

/** HKDF-Expand with SHA-256. RFC 5869, section 2.3. The caller owns and zeroes the result. */
export function hkdfExpand(secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
  if (length > 255 * 32) throw new RangeError(`HKDF of ${length} bytes`);
  const output = new Uint8Array(length);
  let block: Uint8Array = new Uint8Array(0);
  for (let offset = 0, counter = 1; offset < length; counter++) {
    const next = createHmac('sha256', secret).update(block).update(info).update(Uint8Array.of(counter)).digest();
    block.fill(0);
    block = next;
    output.set(block.subarray(0, length - offset), offset);
    offset += block.length;
  }
  block.fill(0);
  return output;
}

/**
 * HKDF-Expand-Label of TLS 1.3 with OpenVPN's prefix `ovpn ` and no context. OpenVPN: ovpn_expand_label().
 * The caller owns and zeroes the result.
 */
export function expandLabel(secret: Uint8Array, label: string, length: number): Uint8Array {
  const text = new TextEncoder().encode(`ovpn ${label}`);
  const info = new Uint8Array(2 + 1 + text.length + 1);
  info[0] = length >> 8;
  info[1] = length & 0xff;
  info[2] = text.length;
  info.set(text, 3);
  return hkdfExpand(secret, info, length);
}

/** The secret of the epoch that follows. The old one stays the caller's to zero. OpenVPN: epoch_key_iterate(). */
export function nextEpochSecret(secret: Secret): Secret {
  return derive(secret, 'datakey upd', EPOCH_SECRET_BYTES);
}

/** The data key and IV of an epoch. OpenVPN: epoch_data_key_derive(). */
export interface EpochDataKey {
  readonly cipherKey: Secret;
  /** {@link EPOCH_IV_BYTES}. */
  readonly iv: Secret;
}

/** Derives what seals and opens the packets of an epoch. */
export function epochDataKey(secret: Secret, keyBytes: number): EpochDataKey {
  return { cipherKey: derive(secret, 'data_key', keyBytes), iv: derive(secret, 'data_iv', EPOCH_IV_BYTES) };
}

function derive(secret: Secret, label: string, length: number): Secret {
  const bytes = expandLabel(secret.bytes, label, length);
  const derived = new Secret(bytes);
  bytes.fill(0);
  return derived;
}
