import { type Random, Secret } from '@openvpnd/sans-io';
import { accepted, copyOf, emitPem, type Parsed, parsePem, refused } from '@openvpnd/wire';
import {
  type ClientKeyMetadata,
  emitClientKeyMetadata,
  MAX_METADATA_BYTES,
  parseClientKeyMetadata,
} from './client-key-metadata.js';
import { CONTROL_KEY_BYTES, checkControlKey, cipherHalf, hmacHalf } from './key-file.js';
import { openSiv, SIV_KEY_BYTES, SIV_TAG_BYTES, type SivKeys, sealSiv } from './siv-frame.js';

/** Length of a tls-crypt-v2 server key: one slot. */
export const SERVER_KEY_BYTES = 128;
/** Longest wrapped client key. OpenVPN: TLS_CRYPT_V2_MAX_WKC_LEN. */
export const MAX_WRAPPED_KEY_BYTES = 1024;
/** Shortest wrapped client key: one without metadata. */
export const MIN_WRAPPED_KEY_BYTES: number = SIV_TAG_BYTES + CONTROL_KEY_BYTES + 2;

const SERVER_KEY_NAME = 'OpenVPN tls-crypt-v2 server key';
const CLIENT_KEY_NAME = 'OpenVPN tls-crypt-v2 client key';

/** What a tls-crypt-v2 client holds. */
export interface TlsCryptV2ClientKey {
  /** 256 bytes. */
  readonly key: Secret;
  /** The same key with its metadata, sealed by the server for itself. The client cannot read it. */
  readonly wrappedKey: Uint8Array;
}

/** A client key as the server finds it. */
export interface UnwrappedClientKey {
  /** 256 bytes. */
  readonly key: Secret;
  readonly metadata: ClientKeyMetadata;
}

/**
 * Seals a client key with the server key: tag ‖ encrypted(key ‖ metadata) ‖ u16 length of it all. The length is under the
 * tag. OpenVPN: tls_crypt_v2_wrap_client_key().
 *
 * @throws RangeError when key or metadata have a wrong length
 */
export function wrapClientKey(serverKey: Secret, key: Secret, metadata: ClientKeyMetadata): Uint8Array {
  checkControlKey(key);
  const metadataBytes = emitClientKeyMetadata(metadata);
  if (metadataBytes.length > MAX_METADATA_BYTES) {
    throw new RangeError(`metadata of ${metadataBytes.length} bytes, at most ${MAX_METADATA_BYTES} with its type`);
  }
  const text = new Uint8Array(CONTROL_KEY_BYTES + metadataBytes.length);
  text.set(key.bytes);
  text.set(metadataBytes, CONTROL_KEY_BYTES);
  const length = SIV_TAG_BYTES + text.length + 2;
  const lengthBytes = Uint8Array.of(length >> 8, length & 0xff);
  const wrapped = new Uint8Array(length);
  wrapped.set(sealSiv(serverKeys(serverKey), lengthBytes, text));
  wrapped.set(lengthBytes, length - 2);
  text.fill(0);
  return wrapped;
}

/** Opens a wrapped client key. Total over all inputs; nothing is computed for one of an impossible length. */
export function unwrapClientKey(serverKey: Secret, wrapped: Uint8Array): Parsed<UnwrappedClientKey> {
  if (wrapped.length < MIN_WRAPPED_KEY_BYTES) return refused('wrapped client key: too short');
  if (wrapped.length > MAX_WRAPPED_KEY_BYTES) return refused('wrapped client key: too long');
  const lengthBytes = wrapped.subarray(wrapped.length - 2);
  if (((lengthBytes[0]! << 8) | lengthBytes[1]!) !== wrapped.length) return refused('wrapped client key: wrong length');
  const text = openSiv(serverKeys(serverKey), lengthBytes, wrapped.subarray(0, wrapped.length - 2));
  if (!text) return refused('wrapped client key: authentication failed');
  const key = new Secret(text.subarray(0, CONTROL_KEY_BYTES));
  const metadata = parseClientKeyMetadata(text.subarray(CONTROL_KEY_BYTES));
  text.fill(0);
  return accepted({ key, metadata });
}

/** Where the wrapped client key begins at the end of a packet that has `leastBytes` in front of it, or -1. */
export function findWrappedKey(packet: Uint8Array, leastBytes: number): number {
  if (packet.length < leastBytes + MIN_WRAPPED_KEY_BYTES) return -1;
  const length = (packet[packet.length - 2]! << 8) | packet[packet.length - 1]!;
  if (length < MIN_WRAPPED_KEY_BYTES || length > MAX_WRAPPED_KEY_BYTES) return -1;
  const start = packet.length - length;
  return start < leastBytes ? -1 : start;
}

/** Parses a server key file, as `openvpn --genkey tls-crypt-v2-server` writes it. */
export function parseTlsCryptV2ServerKey(text: string): Parsed<Secret> {
  const bytes = parsePem(text, SERVER_KEY_NAME);
  if (!bytes.ok) return bytes;
  if (bytes.value.length !== SERVER_KEY_BYTES)
    return refused(`key has ${bytes.value.length} bytes, not ${SERVER_KEY_BYTES}`);
  return accepted(take(bytes.value));
}

/** Parses a client key file, as `openvpn --genkey tls-crypt-v2-client` writes it. */
export function parseTlsCryptV2ClientKey(text: string): Parsed<TlsCryptV2ClientKey> {
  const bytes = parsePem(text, CLIENT_KEY_NAME);
  if (!bytes.ok) return bytes;
  const wrappedKey = copyOf(bytes.value, CONTROL_KEY_BYTES);
  if (findWrappedKey(wrappedKey, 0) !== 0) return refused('the wrapped key in it has a wrong length');
  const key = take(bytes.value.subarray(0, CONTROL_KEY_BYTES));
  return accepted({ key, wrappedKey });
}

/** Writes a server key file. The text is secret. */
export function emitTlsCryptV2ServerKey(key: Secret): string {
  return emitPem(key.bytes, SERVER_KEY_NAME);
}

/** Writes a client key file. The text is secret. */
export function emitTlsCryptV2ClientKey(clientKey: TlsCryptV2ClientKey): string {
  const bytes = new Uint8Array(CONTROL_KEY_BYTES + clientKey.wrappedKey.length);
  bytes.set(clientKey.key.bytes);
  bytes.set(clientKey.wrappedKey, CONTROL_KEY_BYTES);
  const text = emitPem(bytes, CLIENT_KEY_NAME);
  bytes.fill(0);
  return text;
}

/** A fresh server key. */
export function generateTlsCryptV2ServerKey(random: Random): Secret {
  const bytes = new Uint8Array(SERVER_KEY_BYTES);
  random.fill(bytes);
  return take(bytes);
}

/** A fresh client key, sealed for that server. */
export function generateTlsCryptV2ClientKey(
  random: Random,
  serverKey: Secret,
  metadata: ClientKeyMetadata,
): TlsCryptV2ClientKey {
  const bytes = new Uint8Array(CONTROL_KEY_BYTES);
  random.fill(bytes);
  const key = take(bytes);
  return { key, wrappedKey: wrapClientKey(serverKey, key, metadata) };
}

function serverKeys(serverKey: Secret): SivKeys {
  if (serverKey.length !== SERVER_KEY_BYTES)
    throw new RangeError(`a tls-crypt-v2 server key has ${SERVER_KEY_BYTES} bytes`);
  return { cipherKey: cipherHalf(serverKey, 0, SIV_KEY_BYTES), macKey: hmacHalf(serverKey, 0, SIV_KEY_BYTES) };
}

/** Moves bytes into a secret. */
function take(bytes: Uint8Array): Secret {
  const secret = new Secret(bytes);
  bytes.fill(0);
  return secret;
}
