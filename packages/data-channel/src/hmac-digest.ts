/** A digest of `--auth`. */
export interface HmacDigest {
  readonly name: string;
  /** What the cryptographic library calls it. */
  readonly algorithm: string;
  /** Length of the HMAC, and of its key. */
  readonly bytes: number;
}

const DIGESTS: readonly HmacDigest[] = [
  { name: 'MD5', algorithm: 'md5', bytes: 16 },
  { name: 'SHA1', algorithm: 'sha1', bytes: 20 },
  { name: 'SHA224', algorithm: 'sha224', bytes: 28 },
  { name: 'SHA256', algorithm: 'sha256', bytes: 32 },
  { name: 'SHA384', algorithm: 'sha384', bytes: 48 },
  { name: 'SHA512', algorithm: 'sha512', bytes: 64 },
  { name: 'SHA512-224', algorithm: 'sha512-224', bytes: 28 },
  { name: 'SHA512-256', algorithm: 'sha512-256', bytes: 32 },
  { name: 'SHA3-224', algorithm: 'sha3-224', bytes: 28 },
  { name: 'SHA3-256', algorithm: 'sha3-256', bytes: 32 },
  { name: 'SHA3-384', algorithm: 'sha3-384', bytes: 48 },
  { name: 'SHA3-512', algorithm: 'sha3-512', bytes: 64 },
  { name: 'BLAKE2b512', algorithm: 'blake2b512', bytes: 64 },
  { name: 'BLAKE2s256', algorithm: 'blake2s256', bytes: 32 },
  { name: 'RIPEMD160', algorithm: 'ripemd160', bytes: 20 },
  { name: 'SM3', algorithm: 'sm3', bytes: 32 },
];

/** The digest of that name, in any case and with OpenSSL's prefix `RSA-` or without; undefined for `none` and unknown ones. */
export function findHmacDigest(name: string): HmacDigest | undefined {
  const wanted = name
    .toUpperCase()
    .replace(/^RSA-/, '')
    .replace(/^SHA512\//, 'SHA512-');
  return DIGESTS.find((digest) => digest.name.toUpperCase() === wanted);
}
