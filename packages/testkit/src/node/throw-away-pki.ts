import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import * as x509 from '@peculiar/x509';

x509.cryptoProvider.set(webcrypto);

const SIGNING = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const DAY_MS = 86_400_000;

/** A certificate with its private key, both in PEM (the key as PKCS#8, not encrypted). */
export interface IssuedCertificate {
  readonly cert: string;
  readonly key: string;
  /** Hexadecimal, as in the certificate. */
  readonly serialNumber: string;
}

/** What a certificate may be used for. `none` leaves key usage and extended key usage out, as old easy-rsa did. */
export type CertificatePurpose = 'server' | 'client' | 'none';

/** Settings of one certificate. */
export interface CertificateSettings {
  /** In milliseconds from now; default one day ago and 30 days from now. Choose both in the past for an expired certificate. */
  readonly notBeforeMs?: number;
  readonly notAfterMs?: number;
}

/**
 * A certificate authority for one test: EC P-256, SHA-256, everything in memory, gone with the object. Certificates carry the key usage
 * and extended key usage that `remote-cert-tls` asks for (RFC 5280 §4.2.1.3, §4.2.1.12).
 */
export class ThrowAwayPki {
  /** The CA's certificate in PEM: the content of OpenVPN's `ca`. */
  readonly ca: string;
  readonly #certificate: x509.X509Certificate;
  readonly #keys: webcrypto.CryptoKeyPair;
  readonly #revoked: string[] = [];
  #crlNumber = 0;

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate;
    this.#keys = keys;
    this.ca = pemText(certificate.toString('pem'));
  }

  /** A new authority; a second one is the wrong CA for the first one's certificates. */
  static async create(commonName = 'Throw-away CA'): Promise<ThrowAwayPki> {
    const keys = await newKeys();
    const certificate = await x509.X509CertificateGenerator.createSelfSigned(
      {
        serialNumber: randomSerial(),
        name: `CN=${commonName}`,
        notBefore: new Date(Date.now() - DAY_MS),
        notAfter: new Date(Date.now() + 30 * DAY_MS),
        signingAlgorithm: SIGNING,
        keys,
        extensions: [
          new x509.BasicConstraintsExtension(true, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
      },
      webcrypto,
    );
    return new ThrowAwayPki(certificate, keys);
  }

  /** A certificate for `commonName`, signed by this authority. */
  async issue(
    commonName: string,
    purpose: CertificatePurpose,
    settings: CertificateSettings = {},
  ): Promise<IssuedCertificate> {
    const keys = await newKeys();
    const extensions: x509.Extension[] = [
      new x509.BasicConstraintsExtension(false),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
    ];
    if (purpose !== 'none') {
      const usage = purpose === 'server' ? x509.ExtendedKeyUsage.serverAuth : x509.ExtendedKeyUsage.clientAuth;
      extensions.push(
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([usage]),
      );
    }
    const certificate = await x509.X509CertificateGenerator.create(
      {
        serialNumber: randomSerial(),
        subject: `CN=${commonName}`,
        issuer: this.#certificate.subject,
        notBefore: new Date(Date.now() + (settings.notBeforeMs ?? -DAY_MS)),
        notAfter: new Date(Date.now() + (settings.notAfterMs ?? 30 * DAY_MS)),
        signingAlgorithm: SIGNING,
        publicKey: keys.publicKey,
        signingKey: this.#keys.privateKey,
        extensions,
      },
      webcrypto,
    );
    const pkcs8 = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
    return {
      cert: pemText(certificate.toString('pem')),
      key: pemText(x509.PemConverter.encode(pkcs8, 'PRIVATE KEY')),
      serialNumber: certificate.serialNumber,
    };
  }

  /** Puts a certificate on the list that {@link ThrowAwayPki.crl} signs from then on. */
  revoke(certificate: IssuedCertificate): void {
    this.#revoked.push(certificate.serialNumber);
  }

  /** The revocation list as of now, in PEM (`X509 CRL`): the content of OpenVPN's `crl-verify`. Empty lists are valid. */
  async crl(): Promise<string> {
    const list = await x509.X509CrlGenerator.create(
      {
        issuer: this.#certificate.subject,
        thisUpdate: new Date(Date.now() - DAY_MS),
        nextUpdate: new Date(Date.now() + 30 * DAY_MS),
        signingAlgorithm: SIGNING,
        signingKey: this.#keys.privateKey,
        entries: this.#revoked.map((serialNumber) => ({ serialNumber, revocationDate: new Date(Date.now() - DAY_MS) })),
        extensions: [
          await x509.AuthorityKeyIdentifierExtension.create(this.#keys.publicKey),
          crlNumber(++this.#crlNumber),
        ],
      },
      webcrypto,
    );
    return pemText(x509.PemConverter.encode(list.rawData, 'X509 CRL'));
  }
}

async function newKeys(): Promise<webcrypto.CryptoKeyPair> {
  return (await webcrypto.subtle.generateKey(SIGNING, true, ['sign', 'verify'])) as webcrypto.CryptoKeyPair;
}

/** Eight random octets, positive and not zero (RFC 5280 §4.1.2.2). */
function randomSerial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(8));
  bytes[0] = (bytes[0]! & 0x3f) | 0x40;
  return Buffer.from(bytes).toString('hex');
}

/** The CRL number extension (RFC 5280 §5.2.3) for a small number. */
function crlNumber(number: number): x509.Extension {
  return new x509.Extension('2.5.29.20', false, new Uint8Array([0x02, 0x01, number & 0x7f]));
}

function pemText(pem: string): string {
  return pem.endsWith('\n') ? pem : `${pem}\n`;
}
