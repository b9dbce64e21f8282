import { createHash, X509Certificate } from 'node:crypto';
import type { PeerCertificate } from '../ports.js';
import { certificateFields, type DistinguishedName } from './certificate-fields.js';

const COMMON_NAME = '2.5.4.3';

/** OpenSSL's short names of the attributes that subjects are made of. Others are written as dotted numbers. */
const SHORT_NAMES: Readonly<Record<string, string>> = {
  [COMMON_NAME]: 'CN',
  '2.5.4.4': 'SN',
  '2.5.4.5': 'serialNumber',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.9': 'street',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.12': 'title',
  '2.5.4.13': 'description',
  '2.5.4.15': 'businessCategory',
  '2.5.4.17': 'postalCode',
  '2.5.4.20': 'telephoneNumber',
  '2.5.4.41': 'name',
  '2.5.4.42': 'GN',
  '2.5.4.43': 'initials',
  '2.5.4.44': 'generationQualifier',
  '2.5.4.45': 'x500UniqueIdentifier',
  '2.5.4.46': 'dnQualifier',
  '2.5.4.65': 'pseudonym',
  '2.5.4.72': 'role',
  '2.5.4.97': 'organizationIdentifier',
  '0.9.2342.19200300.100.1.1': 'UID',
  '0.9.2342.19200300.100.1.3': 'mail',
  '0.9.2342.19200300.100.1.25': 'DC',
  '1.2.840.113549.1.9.1': 'emailAddress',
  '1.2.840.113549.1.9.2': 'unstructuredName',
  '1.3.6.1.4.1.311.60.2.1.1': 'jurisdictionL',
  '1.3.6.1.4.1.311.60.2.1.2': 'jurisdictionST',
  '1.3.6.1.4.1.311.60.2.1.3': 'jurisdictionC',
};

/** OpenSSL's names of signature algorithms. */
const SIGNATURES: Readonly<Record<string, string>> = {
  '1.2.840.10045.4.1': 'ecdsa-with-SHA1',
  '1.2.840.10045.4.3.2': 'ecdsa-with-SHA256',
  '1.2.840.10045.4.3.3': 'ecdsa-with-SHA384',
  '1.2.840.10045.4.3.4': 'ecdsa-with-SHA512',
  '1.2.840.113549.1.1.5': 'RSA-SHA1',
  '1.2.840.113549.1.1.10': 'RSASSA-PSS',
  '1.2.840.113549.1.1.11': 'RSA-SHA256',
  '1.2.840.113549.1.1.12': 'RSA-SHA384',
  '1.2.840.113549.1.1.13': 'RSA-SHA512',
  '1.3.101.112': 'ED25519',
  '1.3.101.113': 'ED448',
};

/** Reads a certificate of the peer. Throws on DER that OpenSSL takes and the parser does not: the caller refuses the peer. */
export function readPeerCertificate(der: Uint8Array): Omit<PeerCertificate, 'depth'> {
  const raw = Uint8Array.from(der);
  const fields = certificateFields(raw);
  return {
    raw,
    subject: oneLine(fields.subject),
    issuer: oneLine(fields.issuer),
    commonName: lastCommonName(fields.subject),
    serialNumber: fields.serialNumber.toString(),
    // What OpenVPN compares --remote-cert-ku with.
    keyUsage: fields.keyUsage && (fields.keyUsage[0] ?? 0),
    extendedKeyUsage: fields.extendedKeyUsage,
    sha256: Uint8Array.from(createHash('sha256').update(raw).digest()),
  };
}

/** `peer certificate: 256 bits ECprime256v1, signature: ecdsa-with-SHA256`. OpenVPN: print_cert_details(). */
export function describeKey(der: Uint8Array): string {
  const { publicKey } = new X509Certificate(der);
  const { modulusLength, namedCurve } = publicKey.asymmetricKeyDetails ?? {};
  const type = (publicKey.asymmetricKeyType ?? 'unknown').toUpperCase();
  const key =
    namedCurve === undefined
      ? `${modulusLength ?? edwardsBits(type)} bits ${type}`
      : `${curveBits(namedCurve)} bits EC${namedCurve}`;
  const { signatureAlgorithm } = certificateFields(der);
  return `peer certificate: ${key}, signature: ${SIGNATURES[signatureAlgorithm] ?? signatureAlgorithm}`;
}

function curveBits(namedCurve: string): string {
  return /\d{3}/.exec(namedCurve)?.[0] ?? '?';
}

function edwardsBits(type: string): string {
  return type === 'ED448' ? '456' : '256';
}

/** OpenSSL's XN_FLAG_SEP_CPLUS_SPC | XN_FLAG_FN_SN with ASN1_STRFLGS_UTF8_CONVERT | ASN1_STRFLGS_ESC_CTRL. */
function oneLine(name: DistinguishedName): string {
  return name
    .map((relative) => relative.map(({ type, value }) => `${SHORT_NAMES[type] ?? type}=${escaped(value)}`).join(' + '))
    .join(', ');
}

function escaped(text: string): string {
  let result = '';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (isControl(code)) {
      result += `\\${code.toString(16).toUpperCase().padStart(2, '0')}`;
    } else {
      result += character === '\\' ? '\\\\' : character;
    }
  }
  return result;
}

function isControl(code: number): boolean {
  return code < 0x20 || code === 0x7f;
}

function lastCommonName(name: DistinguishedName): string | undefined {
  const values = name.flatMap((relative) =>
    relative.filter(({ type }) => type === COMMON_NAME).map(({ value }) => value),
  );
  const last = values.at(-1);
  if (last === undefined || last.includes('\0')) {
    return undefined;
  }
  return [...last].map((character) => (isControl(character.codePointAt(0)!) ? '_' : character)).join('');
}
