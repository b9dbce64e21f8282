import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { describeKey, readPeerCertificate } from '../src/node/peer-certificate.js';

interface Row {
  pem: string;
  subject: string;
  issuer: string;
  commonName: string;
  serialNumber: string;
  keyUsage: number | null;
  extendedKeyUsage: string[];
  key: string;
}

const { certificates } = JSON.parse(readFileSync(new URL('./vectors/certificates.json', import.meta.url), 'utf8')) as {
  certificates: Row[];
};

describe('what is told of a certificate is what OpenVPN tells', () => {
  it.each(certificates)('$subject', (row) => {
    const der = new X509Certificate(row.pem).raw;
    const read = readPeerCertificate(der);
    expect(read).toMatchObject({
      subject: row.subject,
      issuer: row.issuer,
      commonName: row.commonName,
      serialNumber: row.serialNumber,
      extendedKeyUsage: row.extendedKeyUsage,
    });
    expect(read.keyUsage).toBe(row.keyUsage ?? undefined);
    expect(Buffer.from(read.sha256).toString('hex')).toBe(
      new X509Certificate(row.pem).fingerprint256.replaceAll(':', '').toLowerCase(),
    );
    expect(describeKey(der)).toBe(row.key);
  });

  it('has no common name where the subject holds a NUL in it', () => {
    const der = Uint8Array.from(new X509Certificate(certificates[1]!.pem).raw);
    // The tab of "new<tab>tab" becomes NUL; the signature is not looked at here.
    const at = Buffer.from(der).indexOf('new\ttab');
    der[at + 3] = 0;
    const read = readPeerCertificate(der);
    expect(read.commonName).toBeUndefined();
    expect(read.subject).toBe('O=a\\09tab\\\\x, CN=new\\00tab');
  });

  it('shows an attribute that is no string in hexadecimal', () => {
    const der = Uint8Array.from(new X509Certificate(certificates[1]!.pem).raw);
    const at = Buffer.from(der).indexOf('new\ttab');
    // The tag of an OCTET STRING.
    der[at - 2] = 4;
    const read = readPeerCertificate(der);
    expect(read.commonName).toBe('04076e657709746162');
    expect(read.subject).toBe('O=a\\09tab\\\\x, CN=04076e657709746162');
  });

  it('throws on anything else', () => {
    const der = new X509Certificate(certificates[0]!.pem).raw;
    for (let length = 0; length < der.length; length += 17) {
      expect(() => readPeerCertificate(der.subarray(0, length))).toThrow();
    }
  });
});
