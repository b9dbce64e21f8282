import { copyOf } from '@openvpnd/wire';

/** What a tls-crypt-v2 client key says of its owner; the server that made the key wrote it, and nobody else can read it. */
export type ClientKeyMetadata =
  /** No metadata at all, not even a type. */
  | { readonly type: 'none' }
  /** Type 0: bytes of the operator's choice. */
  | { readonly type: 'user'; readonly bytes: Uint8Array }
  /** Type 1: when the key was made, in Unix seconds. */
  | { readonly type: 'timestamp'; readonly unixSeconds: number }
  /** Another type, or a timestamp of another length. `number` is the type. */
  | { readonly type: 'unknown'; readonly number: number; readonly bytes: Uint8Array };

/** Longest metadata, with its type. OpenVPN: TLS_CRYPT_V2_MAX_METADATA_LEN. */
export const MAX_METADATA_BYTES = 734;

const TYPE_USER = 0;
const TYPE_TIMESTAMP = 1;

/** Parses the metadata of an unwrapped client key. Total. Copies. */
export function parseClientKeyMetadata(bytes: Uint8Array): ClientKeyMetadata {
  if (bytes.length === 0) return { type: 'none' };
  if (bytes[0] === TYPE_USER) return { type: 'user', bytes: copyOf(bytes, 1) };
  if (bytes[0] === TYPE_TIMESTAMP && bytes.length >= 9) {
    const view = new DataView(bytes.buffer, bytes.byteOffset + 1, 8);
    return { type: 'timestamp', unixSeconds: view.getUint32(0) * 2 ** 32 + view.getUint32(4) };
  }
  return { type: 'unknown', number: bytes[0]!, bytes: copyOf(bytes, 1) };
}

/** Writes metadata for a new client key. */
export function emitClientKeyMetadata(metadata: ClientKeyMetadata): Uint8Array {
  switch (metadata.type) {
    case 'none':
      return new Uint8Array(0);
    case 'user':
      return Uint8Array.from([TYPE_USER, ...metadata.bytes]);
    case 'timestamp': {
      const bytes = new Uint8Array(9);
      const view = new DataView(bytes.buffer);
      bytes[0] = TYPE_TIMESTAMP;
      view.setUint32(1, Math.floor(metadata.unixSeconds / 2 ** 32));
      view.setUint32(5, metadata.unixSeconds >>> 0);
      return bytes;
    }
    case 'unknown':
      return Uint8Array.from([metadata.number, ...metadata.bytes]);
  }
}

/**
 * Tells whether a client key is young enough: it must carry the time it was made, and a key from the future counts as
 * new. OpenVPN: tls_crypt_v2_verify_metadata() with --tls-crypt-v2-max-age, 2.7.
 */
export function clientKeyIsFresh(metadata: ClientKeyMetadata, unixSeconds: number, maxAgeSeconds: number): boolean {
  return metadata.type === 'timestamp' && unixSeconds - metadata.unixSeconds <= maxAgeSeconds;
}
