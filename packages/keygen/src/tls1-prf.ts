import { createHmac } from 'node:crypto';

/**
 * The pseudo-random function of TLS 1.0: P_MD5 xor P_SHA1, each with one half of the secret. RFC 2246, section 5.
 * A secret of odd length gives its middle byte to both halves.
 *
 * It needs MD5 and therefore fails on a host in FIPS mode: the call throws then, and the peer must be offered the
 * exporter instead.
 *
 * @param seed label and seed, joined; labels are ASCII without a NUL
 * @param length bytes wanted
 * @returns bytes that the caller owns and zeroes
 */
export function tls1Prf(secret: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  const half = Math.ceil(secret.length / 2);
  const output = expand('md5', secret.subarray(0, half), seed, length);
  const other = expand('sha1', secret.subarray(secret.length - half), seed, length);
  for (let i = 0; i < length; i++) output[i]! ^= other[i]!;
  other.fill(0);
  return output;
}

/** P_hash of RFC 2246. */
function expand(digest: string, secret: Uint8Array, seed: Uint8Array, length: number): Uint8Array {
  const output = new Uint8Array(length);
  let a = createHmac(digest, secret).update(seed).digest();
  for (let offset = 0; offset < length; offset += a.length) {
    const block = createHmac(digest, secret).update(a).update(seed).digest();
    output.set(block.subarray(0, length - offset), offset);
    block.fill(0);
    const next = createHmac(digest, secret).update(a).digest();
    a.fill(0);
    a = next;
  }
  a.fill(0);
  return output;
}
