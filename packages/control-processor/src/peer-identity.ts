import type { PeerCertificate } from '@openvpnd/control-tls';

/**
 * Who a peer has shown itself to be. A renegotiation, or a session that replaces another, must show the same: otherwise one
 * login could be exchanged for another behind the back of everything that was decided about the first.
 * OpenVPN: tls_lock_common_name(), tls_lock_username(), tls_lock_cert_hash_set().
 */
export interface PeerIdentity {
  readonly commonName: string | undefined;
  readonly username: string | undefined;
  /** SHA-256 of each certificate by depth, in hex. */
  readonly certificateHashes: string;
}

export function peerIdentity(certificates: readonly PeerCertificate[], username: string | undefined): PeerIdentity {
  return {
    commonName: commonNameOf(certificates),
    username,
    certificateHashes: certificates.map(({ depth, sha256 }) => `${depth}:${hex(sha256)}`).join(' '),
  };
}

/** What differs, or undefined. The values of a log line: hashes are public. */
export function identityChange(locked: PeerIdentity, shown: PeerIdentity): keyof PeerIdentity | undefined {
  if (locked.commonName !== shown.commonName) return 'commonName';
  if (locked.username !== shown.username) return 'username';
  return locked.certificateHashes === shown.certificateHashes ? undefined : 'certificateHashes';
}

/** The common name of the peer's own certificate. */
export function commonNameOf(certificates: readonly PeerCertificate[]): string | undefined {
  return certificates.find(({ depth }) => depth === 0)?.commonName;
}

function hex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += byte.toString(16).padStart(2, '0');
  return text;
}
