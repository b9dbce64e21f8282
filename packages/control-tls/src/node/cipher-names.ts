/** TLS 1.3 suites that are offered when nothing else is asked for. */
export const DEFAULT_CIPHER_SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256';

/** TLS 1.2 ciphers that are offered when nothing else is asked for: OpenVPN's choice. */
export const DEFAULT_CIPHER_LIST = 'DEFAULT:!EXP:!LOW:!MEDIUM:!kDH:!kECDH:!DSS:!PSK:!SRP:!kRSA';

/**
 * A `tls-cipher` list in OpenSSL's language. Names of the IANA registry, written as OpenVPN writes them
 * (`TLS-ECDHE-RSA-WITH-AES-256-GCM-SHA384`) or with underscores, are translated; everything else stays as it is.
 */
export function opensslCipherList(list: string): string {
  return list
    .split(':')
    .map((name) => opensslCipherName(name) ?? name)
    .join(':');
}

/** The suites of a `tls-ciphersuites` list in OpenSSL's spelling: with underscores, upper case. */
export function opensslCipherSuites(list: string): readonly string[] {
  return list.split(':').map((name) => name.toUpperCase().replaceAll('-', '_'));
}

/** A `tls-groups` list; `secp256r1` is called `prime256v1` by OpenSSL. */
export function opensslGroups(list: string): string {
  return list
    .split(':')
    .map((name) => (name === 'secp256r1' ? 'prime256v1' : name))
    .join(':');
}

/** OpenSSL's name of a TLS 1.2 cipher of the IANA registry, or undefined for a name that is not of its form. */
function opensslCipherName(name: string): string | undefined {
  const match = /^TLS-(.+)-WITH-(.+)$/.exec(name.toUpperCase().replaceAll('_', '-'));
  if (match === null) {
    return undefined;
  }
  const [, keyExchange, rest] = match as unknown as [string, string, string];
  const cipher = rest
    .replace(/^CHACHA20-POLY1305-SHA256$/, 'CHACHA20-POLY1305')
    .replace(/^AES-(128|256)-(?:CBC-)?/, 'AES$1-')
    .replace(/-CCM-8$/, '-CCM8')
    .replace(/^3DES-EDE-CBC-/, 'DES-CBC3-');
  // Plain RSA key exchange is not named by OpenSSL.
  return keyExchange === 'RSA' ? cipher : `${keyExchange}-${cipher}`;
}
