import { X509Certificate } from 'node:crypto';
import type { PeerCertificate, TlsEvent } from '../ports.js';

/** OpenSSL's texts, which OpenVPN prints after `error=`, for the codes that node:tls tells. */
const TEXTS: Readonly<Record<string, string>> = {
  UNABLE_TO_GET_ISSUER_CERT: 'unable to get issuer certificate',
  UNABLE_TO_GET_CRL: 'unable to get certificate CRL',
  UNABLE_TO_DECRYPT_CERT_SIGNATURE: "unable to decrypt certificate's signature",
  UNABLE_TO_DECRYPT_CRL_SIGNATURE: "unable to decrypt CRL's signature",
  UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY: 'unable to decode issuer public key',
  CERT_SIGNATURE_FAILURE: 'certificate signature failure',
  CRL_SIGNATURE_FAILURE: 'CRL signature failure',
  CERT_NOT_YET_VALID: 'certificate is not yet valid',
  CERT_HAS_EXPIRED: 'certificate has expired',
  CRL_NOT_YET_VALID: 'CRL is not yet valid',
  CRL_HAS_EXPIRED: 'CRL has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'self-signed certificate',
  SELF_SIGNED_CERT_IN_CHAIN: 'self-signed certificate in certificate chain',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'unable to get local issuer certificate',
  // OpenSSL reports the missing issuer first, and there OpenVPN stops; node:tls tells the consequence.
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'unable to get local issuer certificate',
  CERT_CHAIN_TOO_LONG: 'certificate chain too long',
  CERT_REVOKED: 'certificate revoked',
  INVALID_CA: 'invalid CA certificate',
  PATH_LENGTH_EXCEEDED: 'path length constraint exceeded',
  INVALID_PURPOSE: 'unsuitable certificate purpose',
  CERT_UNTRUSTED: 'certificate not trusted',
  CERT_REJECTED: 'certificate rejected',
};

/** The event for a chain that OpenSSL refused with `code`, as node:tls names it. `chain` runs from the peer's own upwards. */
export function verificationFailure(
  code: string,
  chain: readonly PeerCertificate[],
): Extract<TlsEvent, { type: 'failed' }> {
  const depth = faultyDepth(code, chain);
  const error = TEXTS[code] ?? code.toLowerCase().replaceAll('_', ' ');
  const { subject = '', serialNumber } = chain[depth] ?? {};
  return {
    type: 'failed',
    reason: 'certificate verify failed',
    certificate: { depth, error, subject, ...(serialNumber !== undefined && { serialNumber }) },
  };
}

/** node:tls keeps the error and forgets where; this is where OpenSSL's order of checks meets it first. */
function faultyDepth(code: string, chain: readonly PeerCertificate[]): number {
  const last = Math.max(0, chain.length - 1);
  switch (code) {
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'CERT_UNTRUSTED':
      return last;
    case 'CERT_HAS_EXPIRED':
      return Math.max(
        0,
        chain.findLastIndex(({ raw }) => Date.parse(new X509Certificate(raw).validTo) < Date.now()),
      );
    case 'CERT_NOT_YET_VALID':
      return Math.max(
        0,
        chain.findLastIndex(({ raw }) => Date.parse(new X509Certificate(raw).validFrom) > Date.now()),
      );
    default:
      return 0;
  }
}
