import { Secret } from '@openvpnd/sans-io';
import type { DataCipher } from './data-cipher.js';
import { EPOCH_SECRET_BYTES } from './epoch.js';
import { type KeyDirection, type KeySlots, keySlots } from './key-direction.js';
import { KEY_HALF_BYTES, KEY_SLOT_BYTES, KEY2_BYTES } from './key2.js';

/** Bytes of an AEAD nonce that come from the key; the packet id fills the rest. */
export const IMPLICIT_IV_BYTES = 8;

/** What one direction of a data channel needs. Each secret owns its bytes. */
export interface DirectionalKey {
  /** As long as the cipher wants; empty for the cipher `none`. */
  readonly cipherKey: Secret;
  /** {@link IMPLICIT_IV_BYTES}: the start of the HMAC half. For AEAD ciphers. */
  readonly implicitIv: Secret;
  /** The whole HMAC half, 64 bytes: an HMAC takes as many of them as its digest is long. */
  readonly hmacKey: Secret;
  /** Secret of the first epoch: the first 32 bytes of the cipher half. For epoch data keys, in place of the others. */
  readonly epochSecret: Secret;
}

/** Both directions of a data channel and the cipher that they are for. */
export interface DataChannelKeys {
  readonly cipher: DataCipher;
  readonly send: DirectionalKey;
  readonly receive: DirectionalKey;
}

/**
 * Cuts a data channel key of a TLS session into its directions: the client sends with the first slot, the server with
 * the second. Copies; `key2` stays the caller's to zero. OpenVPN: init_key_contexts().
 *
 * @param key2 {@link KEY2_BYTES}
 * @param role in TLS, whoever began
 */
export function dataChannelKeys(key2: Secret, cipher: DataCipher, role: 'client' | 'server'): DataChannelKeys {
  return keysFromSlots(key2, cipher, role === 'client' ? { send: 0, receive: 1 } : { send: 1, receive: 0 });
}

/** Cuts a static key file (`--secret FILE [direction]`) into directional keys. Copies. */
export function staticDataChannelKeys(key2: Secret, cipher: DataCipher, direction: KeyDirection): DataChannelKeys {
  return keysFromSlots(key2, cipher, keySlots(direction));
}

/** Overwrites every secret of the keys. Idempotent. */
export function zeroKeys(keys: DataChannelKeys): void {
  for (const key of [keys.send, keys.receive]) {
    key.cipherKey.zero();
    key.implicitIv.zero();
    key.hmacKey.zero();
    key.epochSecret.zero();
  }
}

function keysFromSlots(key2: Secret, cipher: DataCipher, slots: KeySlots): DataChannelKeys {
  if (key2.length !== KEY2_BYTES) throw new RangeError(`a data channel key has ${KEY2_BYTES} bytes`);
  return {
    cipher,
    send: directionalKey(key2, cipher, slots.send),
    receive: directionalKey(key2, cipher, slots.receive),
  };
}

function directionalKey(key2: Secret, cipher: DataCipher, slot: 0 | 1): DirectionalKey {
  const start = slot * KEY_SLOT_BYTES;
  const hmac = start + KEY_HALF_BYTES;
  return {
    cipherKey: new Secret(key2.bytes.subarray(start, start + cipher.keyBytes)),
    implicitIv: new Secret(key2.bytes.subarray(hmac, hmac + IMPLICIT_IV_BYTES)),
    hmacKey: new Secret(key2.bytes.subarray(hmac, hmac + KEY_HALF_BYTES)),
    epochSecret: new Secret(key2.bytes.subarray(start, start + EPOCH_SECRET_BYTES)),
  };
}
