import { type Random, Secret } from '@openvpnd/sans-io';
import { KEY2_BYTES } from './key2.js';

const HEADER = '-----BEGIN OpenVPN Static key V1-----';
const FOOTER = '-----END OpenVPN Static key V1-----';
const LINE_BYTES = 16;

/** A static key, or why the text is none. */
export type StaticKeyResult =
  | { readonly ok: true; readonly value: Secret }
  | { readonly ok: false; readonly reason: string };

/**
 * Parses a static key file (`secret`, `tls-auth`, `tls-crypt`): 512 hex digits with white space between its marker
 * lines. What stands before the first marker is ignored, and so is what stands between the last digit and the second
 * one. OpenVPN: read_key_file().
 *
 * @returns {@link KEY2_BYTES}, or a reason in OpenVPN's sense; hex digits of the text never appear in it
 */
export function parseStaticKey(text: string): StaticKeyResult {
  const header = text.indexOf(HEADER);
  if (header < 0) return { ok: false, reason: `line '${HEADER}' not found` };
  const bytes = new Uint8Array(KEY2_BYTES);
  let digits = 0;
  let position = header + HEADER.length;
  for (; digits < 2 * KEY2_BYTES; position++) {
    const character = text[position];
    if (character === undefined || character === '-') {
      bytes.fill(0);
      return { ok: false, reason: `key is too short: ${digits >> 1} of ${KEY2_BYTES} bytes` };
    }
    if (WHITE_SPACE.includes(character)) continue;
    const digit = HEX.indexOf(character.toLowerCase());
    if (digit < 0) {
      bytes.fill(0);
      const line = text.slice(0, position).split('\n').length;
      return { ok: false, reason: `character that is no hex digit in line ${line}` };
    }
    bytes[digits >> 1] = (bytes[digits >> 1]! << 4) | digit;
    digits++;
  }
  if (text.indexOf(FOOTER, position) < 0) {
    bytes.fill(0);
    return { ok: false, reason: `line '${FOOTER}' not found` };
  }
  const value = new Secret(bytes);
  bytes.fill(0);
  return { ok: true, value };
}

/** Writes a static key file as `openvpn --genkey secret` does. The text is secret. */
export function emitStaticKey(key: Secret): string {
  if (key.length !== KEY2_BYTES) throw new RangeError(`a static key has ${KEY2_BYTES} bytes`);
  let text = `#\n# 2048 bit OpenVPN static key\n#\n${HEADER}\n`;
  for (let offset = 0; offset < KEY2_BYTES; offset += LINE_BYTES) {
    for (const byte of key.bytes.subarray(offset, offset + LINE_BYTES)) text += byte.toString(16).padStart(2, '0');
    text += '\n';
  }
  return `${text}${FOOTER}\n`;
}

/** A fresh static key. */
export function generateStaticKey(random: Random): Secret {
  const bytes = new Uint8Array(KEY2_BYTES);
  random.fill(bytes);
  const key = new Secret(bytes);
  bytes.fill(0);
  return key;
}

const HEX = '0123456789abcdef';
const WHITE_SPACE = ' \t\r\n\v\f';
