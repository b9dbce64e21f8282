/**
 * The data channel ciphers that exist here, with what the key derivation has to know of them.
 * Names are OpenVPN's (`--data-ciphers`).
 */
export interface DataCipher {
  readonly name: string;
  /** Bytes taken from the cipher half of a key slot. */
  readonly keyBytes: number;
  readonly kind: 'aead' | 'cbc' | 'none';
  /** Bytes of a block: 16 for AES; 1 for stream-like AEADs, as OpenVPN counts them. */
  readonly blockBytes: number;
}

const CIPHERS: readonly DataCipher[] = [
  { name: 'AES-128-GCM', keyBytes: 16, kind: 'aead', blockBytes: 16 },
  { name: 'AES-192-GCM', keyBytes: 24, kind: 'aead', blockBytes: 16 },
  { name: 'AES-256-GCM', keyBytes: 32, kind: 'aead', blockBytes: 16 },
  { name: 'CHACHA20-POLY1305', keyBytes: 32, kind: 'aead', blockBytes: 1 },
  { name: 'AES-128-CBC', keyBytes: 16, kind: 'cbc', blockBytes: 16 },
  { name: 'AES-192-CBC', keyBytes: 24, kind: 'cbc', blockBytes: 16 },
  { name: 'AES-256-CBC', keyBytes: 32, kind: 'cbc', blockBytes: 16 },
  { name: 'none', keyBytes: 0, kind: 'none', blockBytes: 1 },
];

/** The cipher of that name, in any case, or undefined. OpenVPN: cipher_get(). */
export function findDataCipher(name: string): DataCipher | undefined {
  const wanted = name.toUpperCase();
  return CIPHERS.find((cipher) => cipher.name.toUpperCase() === wanted);
}
