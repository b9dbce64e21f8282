import type { Draft } from './draft.js';
import type { FileSource } from './options/file-source.js';

/** What `genkey` can make; `secret`, `tls-auth` and `tls-crypt` are the same kind of file. */
export type KeyType =
  | 'secret'
  | 'tls-auth'
  | 'tls-crypt'
  | 'tls-crypt-v2-server'
  | 'tls-crypt-v2-client'
  | 'auth-token';

/** All of them, as `genkey` takes them. */
export const KEY_TYPES: readonly KeyType[] = [
  'secret',
  'tls-auth',
  'tls-crypt',
  'tls-crypt-v2-server',
  'tls-crypt-v2-client',
  'auth-token',
];

/** What `genkey` is to make, and where to put it. */
export interface KeyRequest {
  readonly type: KeyType;
  /** Undefined: standard output. */
  readonly path: string | undefined;
  /** Base64 as written, for a tls-crypt-v2-client key. Undefined: its date. */
  readonly metadata: string | undefined;
  /** `tls-crypt-v2`: the server key that a tls-crypt-v2-client key is for. */
  readonly serverKey: FileSource | undefined;
}

/** The request of a draft that has `genkey`, or OpenVPN's sentence about what it lacks. */
export function keyRequest(
  draft: Draft,
): { readonly ok: true; readonly value: KeyRequest } | { readonly ok: false; readonly reason: string } {
  const { type = 'secret', path, metadata } = draft.genkey ?? {};
  const serverKey = draft.entry.tlsCryptV2?.key;
  if (type === 'tls-crypt-v2-client' && serverKey === undefined) {
    return {
      ok: false,
      reason: '--genkey tls-crypt-v2-client requires a server key to be set via --tls-crypt-v2 to create a client key',
    };
  }
  return { ok: true, value: { type, path: path === '' ? undefined : path, metadata, serverKey } };
}
