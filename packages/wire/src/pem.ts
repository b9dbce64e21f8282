import { decodeBase64, encodeBase64 } from './base64.js';
import { accepted, type Parsed, refused } from './parsed.js';

/**
 * The bytes of the first PEM block of that name, such as `OpenVPN tls-crypt-v2 server key`. Text around the block is
 * ignored. RFC 7468, without headers.
 */
export function parsePem(text: string, name: string): Parsed<Uint8Array> {
  const header = `-----BEGIN ${name}-----`;
  const footer = `-----END ${name}-----`;
  const start = text.indexOf(header);
  if (start < 0) return refused(`line '${header}' not found`);
  const end = text.indexOf(footer, start);
  if (end < 0) return refused(`line '${footer}' not found`);
  const bytes = decodeBase64(text.slice(start + header.length, end).replace(/\s/g, ''));
  return bytes ? accepted(bytes) : refused('not base64');
}

/** A PEM block with lines of 64 characters and a line feed at its end, as OpenSSL and OpenVPN write it. */
export function emitPem(bytes: Uint8Array, name: string): string {
  const lines = encodeBase64(bytes).match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${name}-----\n${lines.map((line) => `${line}\n`).join('')}-----END ${name}-----\n`;
}
