import { createRequire } from 'node:module';
import type { AsnType } from 'asn1js';

/** One attribute of a name: its object identifier, dotted, and its value as text; one that is no string in hexadecimal, with tag and length. */
export interface NameAttribute {
  readonly type: string;
  readonly value: string;
}

/** A name: its relative distinguished names in their order, each of one attribute or more. */
export type DistinguishedName = readonly (readonly NameAttribute[])[];

/** Of a certificate what node:crypto does not show, or not in the form that OpenVPN has it. RFC 5280, section 4.1. */
export interface CertificateFields {
  readonly serialNumber: bigint;
  readonly issuer: DistinguishedName;
  readonly subject: DistinguishedName;
  /** The octets of the extension keyUsage's bit string, digitalSignature being 0x80 of the first; undefined: there is no such extension. */
  readonly keyUsage: Uint8Array | undefined;
  /** Object identifiers, dotted; none: there is no such extension. */
  readonly extendedKeyUsage: readonly string[];
  /** Object identifier, dotted. */
  readonly signatureAlgorithm: string;
}

const KEY_USAGE = '2.5.29.15';
const EXTENDED_KEY_USAGE = '2.5.29.37';
/** Of an identifier octet: context-specific. */
const CONTEXT = 3;

/** The library is loaded for the first certificate: a program that starts has none to read, and has others wait for it. */
let loaded: typeof import('asn1js') | undefined;
function asn1(): typeof import('asn1js') {
  loaded ??= createRequire(import.meta.url)('asn1js') as typeof import('asn1js');
  return loaded;
}

/** Decodes a certificate. Throws on what is none, even if OpenSSL should take it. */
export function certificateFields(der: Uint8Array): CertificateFields {
  const [tbsCertificate, signatureAlgorithm] = parts(decoded(der));
  const fields = parts(tbsCertificate);
  // Version 1 is the default and then not there.
  if (isTagged(fields[0], 0)) fields.shift();
  const [serialNumber, , issuer, , subject, , ...rest] = fields;
  const extensions = rest.find((one) => isTagged(one, 3));
  const values = new Map(extensions === undefined ? [] : parts(parts(extensions)[0]).map(extension));
  const keyUsage = values.get(KEY_USAGE);
  const extendedKeyUsage = values.get(EXTENDED_KEY_USAGE);
  return {
    serialNumber: as(asn1().Integer, serialNumber).toBigInt(),
    issuer: name(issuer),
    subject: name(subject),
    keyUsage: keyUsage && as(asn1().BitString, decoded(keyUsage)).valueBlock.valueHexView,
    extendedKeyUsage: extendedKeyUsage === undefined ? [] : parts(decoded(extendedKeyUsage)).map(identifier),
    signatureAlgorithm: identifier(parts(signatureAlgorithm)[0]),
  };
}

function decoded(der: Uint8Array): AsnType {
  const { offset, result } = asn1().fromBER(der, { parseEmbedded: false });
  if (offset !== der.length) throw new Error(result.error || 'there is more behind the end of it');
  return result;
}

function name(block: AsnType | undefined): DistinguishedName {
  as(asn1().Sequence, block);
  return parts(block).map((relative) =>
    parts(relative).map((attribute) => {
      const [type, value] = parts(attribute);
      return { type: identifier(type), value: attributeText(value) };
    }),
  );
}

function attributeText(value: AsnType | undefined): string {
  if (value instanceof asn1().BaseStringBlock) return value.getValue();
  return Buffer.from(as(asn1().BaseBlock, value).valueBeforeDecodeView).toString('hex');
}

/** Its identifier and the DER that it holds; `critical` in between is not looked at. */
function extension(block: AsnType): [string, Uint8Array] {
  const [type, ...rest] = parts(block);
  return [identifier(type), as(asn1().OctetString, rest.at(-1)).valueBlock.valueHexView];
}

function identifier(block: AsnType | undefined): string {
  return as(asn1().ObjectIdentifier, block).getValue();
}

function parts(block: AsnType | undefined): AsnType[] {
  return [...as(asn1().Constructed, block).valueBlock.value] as AsnType[];
}

function isTagged(block: AsnType | undefined, tag: number): boolean {
  return block?.idBlock.tagClass === CONTEXT && block.idBlock.tagNumber === tag;
}

function as<Block>(type: abstract new (...parameters: never[]) => Block, block: AsnType | undefined): Block {
  if (!(block instanceof type)) throw new Error(`not a certificate: no ${type.name} where one should be`);
  return block;
}
