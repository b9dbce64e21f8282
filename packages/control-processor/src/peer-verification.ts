import type { PeerCertificate } from '@openvpnd/control-tls';
import type { Log } from '@openvpnd/sans-io';

/** What a peer's certificates must satisfy beyond the chain of trust. An absent field asks for nothing. */
export interface PeerPolicy {
  /** False only with --verify-client-cert none or optional: a peer without certificate passes. */
  readonly requireCertificate: boolean;
  /**
   * --remote-cert-ku: the key usage must have all bits of one of these values. The empty list: the extension must be
   * there with any value (what --remote-cert-tls asks for).
   */
  readonly keyUsage?: readonly number[];
  /** --remote-cert-eku: an object identifier or OpenSSL's long name, for instance `TLS Web Server Authentication`. */
  readonly extendedKeyUsage?: string;
  /** --verify-x509-name. */
  readonly name?: { readonly kind: 'subject' | 'name' | 'name-prefix'; readonly value: string };
}

/** The policy of --remote-cert-tls: any key usage, and the extended one of the role that the *peer* has. */
export function remoteCertTls(peerRole: 'client' | 'server'): Pick<PeerPolicy, 'keyUsage' | 'extendedKeyUsage'> {
  return {
    keyUsage: [],
    extendedKeyUsage: peerRole === 'server' ? 'TLS Web Server Authentication' : 'TLS Web Client Authentication',
  };
}

/** OpenSSL's long names of the extended key usages, by object identifier. */
const EKU_LONG_NAMES: ReadonlyMap<string, string> = new Map([
  ['1.3.6.1.5.5.7.3.1', 'TLS Web Server Authentication'],
  ['1.3.6.1.5.5.7.3.2', 'TLS Web Client Authentication'],
  ['1.3.6.1.5.5.7.3.3', 'Code Signing'],
  ['1.3.6.1.5.5.7.3.4', 'E-mail Protection'],
  ['1.3.6.1.5.5.7.3.5', 'IPSec End System'],
  ['1.3.6.1.5.5.7.3.6', 'IPSec Tunnel'],
  ['1.3.6.1.5.5.7.3.7', 'IPSec User'],
  ['1.3.6.1.5.5.7.3.8', 'Time Stamping'],
  ['1.3.6.1.5.5.7.3.9', 'OCSP Signing'],
  ['1.3.6.1.5.5.7.3.17', 'ipsec Internet Key Exchange'],
  ['2.5.29.37.0', 'Any Extended Key Usage'],
]);

/**
 * Checks a verified chain against the policy and logs each certificate from the root down as OpenVPN's VERIFY lines:
 * events `verify.ok`, `verify.ku-ok`, `verify.ku-error`, `verify.eku-ok`, `verify.eku-error`, `verify.x509name-ok`,
 * `verify.x509name-error`, `verify.no-certificate`, `verify.no-common-name`.
 *
 * @returns whether the peer may go on. OpenVPN: verify_cert(), verify_peer_cert(), verify_cert_ku(), verify_cert_eku().
 */
export function verifyPeer(policy: PeerPolicy, certificates: readonly PeerCertificate[], log: Log): boolean {
  const leaf = certificates.find((certificate) => certificate.depth === 0);
  if (!leaf) {
    if (policy.requireCertificate) log.error('verify.no-certificate');
    return !policy.requireCertificate;
  }
  for (const certificate of [...certificates].sort((a, b) => b.depth - a.depth)) {
    if (certificate.depth === 0 && !verifyLeaf(policy, certificate, log)) return false;
    log.info('verify.ok', { depth: certificate.depth, subject: certificate.subject });
  }
  return true;
}

function verifyLeaf(policy: PeerPolicy, leaf: PeerCertificate, log: Log): boolean {
  // The name decides who the peer is: to go on without one would make all such peers the same person.
  if (leaf.commonName === undefined) {
    log.error('verify.no-common-name', { subject: leaf.subject });
    return false;
  }
  return (
    verifyKeyUsage(policy, leaf, log) && verifyExtendedKeyUsage(policy, leaf, log) && verifyName(policy, leaf, log)
  );
}

function verifyKeyUsage({ keyUsage }: PeerPolicy, leaf: PeerCertificate, log: Log): boolean {
  if (keyUsage === undefined) return true;
  const found = leaf.keyUsage;
  if (found === undefined) {
    log.error('verify.ku-error', { reason: 'no key usage extension' });
    return false;
  }
  if (keyUsage.length > 0 && !keyUsage.some((wanted) => (found & wanted) === wanted)) {
    log.error('verify.ku-error', {
      found,
      expected: keyUsage.map((value) => value.toString(16).padStart(4, '0')).join(' '),
    });
    return false;
  }
  log.info('verify.ku-ok');
  return true;
}

function verifyExtendedKeyUsage({ extendedKeyUsage }: PeerPolicy, leaf: PeerCertificate, log: Log): boolean {
  if (extendedKeyUsage === undefined) return true;
  const passed = leaf.extendedKeyUsage.some(
    (oid) => oid === extendedKeyUsage || EKU_LONG_NAMES.get(oid) === extendedKeyUsage,
  );
  for (const oid of leaf.extendedKeyUsage.slice(0, 8)) {
    log.info('verify.eku', { oid, name: EKU_LONG_NAMES.get(oid) ?? oid, expected: extendedKeyUsage });
  }
  if (passed) log.info('verify.eku-ok');
  else log.error('verify.eku-error', { expected: extendedKeyUsage });
  return passed;
}

function verifyName({ name }: PeerPolicy, leaf: PeerCertificate, log: Log): boolean {
  if (name === undefined) return true;
  const commonName = leaf.commonName ?? '';
  let found: string;
  let passed: boolean;
  switch (name.kind) {
    case 'subject':
      found = leaf.subject;
      passed = found === name.value;
      break;
    case 'name':
      found = commonName;
      passed = found === name.value;
      break;
    case 'name-prefix':
      found = commonName;
      // An empty prefix would let everybody in.
      passed = name.value !== '' && found.startsWith(name.value);
      break;
  }
  if (passed) log.info('verify.x509name-ok', { name: found });
  else log.error('verify.x509name-error', { name: found, expected: name.value });
  return passed;
}
