import { constants, createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { createSecureContext, getCiphers, type SecureContextOptions, type SecureVersion } from 'node:tls';
import {
  DEFAULT_CIPHER_LIST,
  DEFAULT_CIPHER_SUITES,
  opensslCipherList,
  opensslCipherSuites,
  opensslGroups,
} from './cipher-names.js';
import { type TlsOptionName, TlsOptionsError } from './tls-options-error.js';

/** A TLS version as `tls-version-min` and `tls-version-max` write it. */
export type TlsVersion = '1.0' | '1.1' | '1.2' | '1.3';

/** Certificates and TLS options of one tunnel: contents, not file names. PEM may have text between its blocks. */
export interface NodeTlsOptions {
  /** PEM, one certificate or more: whom to trust. Needed, unless `pkcs12` brings them. */
  readonly ca?: string | Uint8Array;
  /** PEM: our own certificate, then its intermediates. */
  readonly cert?: string | Uint8Array;
  /** PEM: PKCS#8, PKCS#1 or SEC 1. */
  readonly key?: string | Uint8Array;
  /** PEM: more intermediates. */
  readonly extraCerts?: string | Uint8Array;
  /** DER. In place of `cert` and `key`. The CA certificates in it are trusted too. */
  readonly pkcs12?: Uint8Array;
  /** For an encrypted `key` or `pkcs12`. */
  readonly passphrase?: string;
  /** PEM. Then every issuer in a chain needs its CRL here, or the chain is refused. */
  readonly crl?: string | Uint8Array;
  /** Default `1.2`. */
  readonly minVersion?: TlsVersion;
  /** Default: the highest there is. */
  readonly maxVersion?: TlsVersion;
  /** `tls-cipher`: up to TLS 1.2, names of IANA or OpenSSL, by colons. Default {@link DEFAULT_CIPHER_LIST}. */
  readonly ciphers?: string;
  /** `tls-ciphersuites`: TLS 1.3. */
  readonly ciphersuites?: string;
  /** `tls-groups`, in order of preference. */
  readonly groups?: string;
  /** PEM with Diffie-Hellman parameters, server only. Without them there are only ciphers with elliptic curves. */
  readonly dh?: string | Uint8Array;
  /** OpenSSL's security level, 0 … 5: `tls-cert-profile` legacy is 1, preferred 2. Default: OpenSSL's own, 0 below TLS 1.2. */
  readonly securityLevel?: number;
  /**
   * `verify-client-cert` of a server, default `require`. With `optional` a client may show none, but one that it shows must be
   * good. A client always verifies its server.
   */
  readonly verifyClient?: 'require' | 'optional' | 'none';
}

/** {@link NodeTlsOptions}, checked, in the form that node:tls takes. */
export function secureContextOptions(options: NodeTlsOptions): SecureContextOptions {
  const belowTls12 = options.minVersion === '1.0' || options.minVersion === '1.1';
  const securityLevel = options.securityLevel ?? (belowTls12 ? 0 : undefined);
  const level = securityLevel === undefined ? '' : `:@SECLEVEL=${securityLevel}`;
  const trusted = trustedCertificates(options);
  const suites = options.ciphersuites === undefined ? DEFAULT_CIPHER_SUITES : knownSuites(options.ciphersuites);
  const list = options.ciphers === undefined ? DEFAULT_CIPHER_LIST : opensslCipherList(options.ciphers);
  const base: SecureContextOptions = {
    minVersion: nodeVersion(options.minVersion ?? '1.2'),
    maxVersion: nodeVersion(options.maxVersion ?? '1.3'),
    // Never absent: node:tls would trust the CAs of the web.
    ca: trusted,
    // Sessions are never resumed: each handshake has to show its certificates anew.
    secureOptions: constants.SSL_OP_NO_TICKET | constants.SSL_OP_NO_RENEGOTIATION | constants.SSL_OP_NO_COMPRESSION,
    honorCipherOrder: true,
  };
  checkVersions(options);
  check('tls-cipher', { ...base, ciphers: `${DEFAULT_CIPHER_SUITES}:${list}` });
  const context: SecureContextOptions = { ...base, ciphers: `${suites}:${list}${level}` };
  check('tls-ciphersuites', context);
  if (options.groups !== undefined) {
    context.ecdhCurve = opensslGroups(options.groups);
    check('tls-groups', context);
  }
  if (options.dh !== undefined) {
    context.dhparam = diffieHellmanParameters(text(options.dh));
    check('dh', context);
  }
  if (options.crl !== undefined) {
    context.crl = certificateRevocationLists(text(options.crl));
    check('crl-verify', context);
  }
  addIdentity(context, options);
  return context;
}

function text(content: string | Uint8Array): string {
  return typeof content === 'string' ? content : Buffer.from(content).toString('latin1');
}

function nodeVersion(version: TlsVersion): SecureVersion {
  return version === '1.0' ? 'TLSv1' : `TLSv${version}`;
}

function checkVersions({ minVersion = '1.2', maxVersion = '1.3' }: NodeTlsOptions): void {
  if (minVersion > maxVersion) {
    throw new TlsOptionsError(
      'tls-version-min',
      'invalid',
      `TLS ${minVersion} at least and ${maxVersion} at most is no version at all`,
    );
  }
}

/** node:tls takes a name that it does not know for one of TLS 1.2 and switches TLS 1.3 off. */
function knownSuites(list: string): string {
  const suites = opensslCipherSuites(list);
  const unknown = suites.find((name) => !name.startsWith('TLS_') || !getCiphers().includes(name.toLowerCase()));
  if (unknown !== undefined) {
    throw new TlsOptionsError(
      'tls-ciphersuites',
      'invalid',
      `${JSON.stringify(unknown)} is no cipher suite of TLS 1.3 that OpenSSL has`,
    );
  }
  return suites.join(':');
}

/** Tries the options out; what OpenSSL says goes into the error. */
function check(option: TlsOptionName, context: SecureContextOptions): void {
  try {
    createSecureContext(context);
  } catch (cause) {
    throw new TlsOptionsError(option, 'invalid', `not accepted by OpenSSL: ${opensslReason(cause)}`, cause);
  }
}

/** `error:0A0000B9:SSL routines::no cipher match` → `no cipher match`. */
function opensslReason(cause: unknown): string {
  const { reason, message } = cause as { reason?: string; message?: string };
  return (reason ?? message?.split(':').at(-1) ?? 'unknown reason').trim();
}

function blocks(pem: string, label: RegExp): string[] {
  const pattern = new RegExp(`-----BEGIN (${label.source})-----[^-]*-----END \\1-----`, 'g');
  return pem.match(pattern) ?? [];
}

const CERTIFICATE = /(?:X509 |TRUSTED )?CERTIFICATE/;

function certificates(option: TlsOptionName, content: string | Uint8Array): string[] {
  const found = blocks(text(content), CERTIFICATE);
  if (found.length === 0) {
    throw new TlsOptionsError(option, 'invalid', 'there is no certificate in PEM form in it');
  }
  for (const [index, block] of found.entries()) {
    try {
      new X509Certificate(block);
    } catch (cause) {
      throw new TlsOptionsError(
        option,
        'invalid',
        `certificate ${index + 1} of ${found.length} in it cannot be read`,
        cause,
      );
    }
  }
  return found;
}

/** Whom `ca` names, one PEM text each; empty where `pkcs12` brings them. */
export function trustedCertificates({ ca, pkcs12 }: NodeTlsOptions): string[] {
  if (ca !== undefined) {
    return certificates('ca', ca);
  }
  if (pkcs12 === undefined) {
    throw new TlsOptionsError('ca', 'missing', 'a CA is needed to know whom to trust');
  }
  return [];
}

function certificateRevocationLists(pem: string): string[] {
  const found = blocks(pem, /X509 CRL/);
  if (found.length === 0) {
    throw new TlsOptionsError('crl-verify', 'invalid', 'there is no certificate revocation list in PEM form in it');
  }
  for (const block of found) {
    try {
      createSecureContext({ crl: block });
    } catch (cause) {
      throw new TlsOptionsError('crl-verify', 'invalid', 'a certificate revocation list in it cannot be read', cause);
    }
  }
  // node:tls reads only the first list of each text.
  return found;
}

/** node:tls ignores parameters that it cannot read. */
function diffieHellmanParameters(pem: string): string {
  const [block] = blocks(pem, /DH PARAMETERS|X9\.42 DH PARAMETERS/);
  const der = block === undefined ? undefined : Buffer.from(block.replace(/-----[^-]+-----/g, ''), 'base64');
  // SEQUENCE with a length in two octets: that is what parameters of 1024 bits and more begin with.
  if (block === undefined || der?.[0] !== 0x30 || der[1] !== 0x82 || der.readUInt16BE(2) !== der.length - 4) {
    throw new TlsOptionsError(
      'dh',
      'invalid',
      'there are no Diffie-Hellman parameters in PEM form in it that can be used',
    );
  }
  return block;
}

function addIdentity(context: SecureContextOptions, options: NodeTlsOptions): void {
  if (options.passphrase !== undefined) {
    context.passphrase = options.passphrase;
  }
  if (options.pkcs12 !== undefined) {
    context.pfx = Buffer.from(options.pkcs12);
    checkPkcs12(context);
    return;
  }
  if (options.cert === undefined && options.key === undefined) {
    return;
  }
  if (options.cert === undefined || options.key === undefined) {
    throw new TlsOptionsError(
      options.cert === undefined ? 'cert' : 'key',
      'missing',
      'certificate and private key come together',
    );
  }
  const chain = certificates('cert', options.cert);
  const privateKey = readPrivateKey(text(options.key), options.passphrase);
  if (!new X509Certificate(chain[0]!).checkPrivateKey(privateKey)) {
    throw new TlsOptionsError('key', 'key-mismatch', 'the private key does not belong to the certificate');
  }
  const extra = options.extraCerts === undefined ? [] : certificates('extra-certs', options.extraCerts);
  context.cert = [...chain, ...extra].join('\n');
  context.key = text(options.key);
  // What is left is a certificate that OpenSSL finds too weak.
  check('cert', context);
}

function readPrivateKey(pem: string, passphrase: string | undefined): KeyObject {
  const encrypted = /BEGIN ENCRYPTED PRIVATE KEY|Proc-Type: 4,ENCRYPTED/.test(pem);
  if (encrypted && passphrase === undefined) {
    throw new TlsOptionsError('key', 'passphrase-needed', 'the private key is encrypted and no passphrase is given');
  }
  try {
    return createPrivateKey({ key: pem, ...(passphrase !== undefined && { passphrase }) });
  } catch (cause) {
    throw encrypted
      ? new TlsOptionsError('key', 'passphrase-wrong', 'the private key cannot be decrypted: wrong passphrase', cause)
      : new TlsOptionsError('key', 'invalid', 'there is no private key in PEM form in it that can be read', cause);
  }
}

function checkPkcs12(context: SecureContextOptions): void {
  try {
    createSecureContext(context);
  } catch (cause) {
    const reason = opensslReason(cause);
    if (/mac verify/i.test(reason)) {
      const given = context.passphrase !== undefined;
      throw new TlsOptionsError(
        'pkcs12',
        given ? 'passphrase-wrong' : 'passphrase-needed',
        given ? 'it cannot be decrypted: wrong passphrase' : 'it is encrypted and no passphrase is given',
        cause,
      );
    }
    throw new TlsOptionsError('pkcs12', 'invalid', `it cannot be read: ${reason}`, cause);
  }
}
