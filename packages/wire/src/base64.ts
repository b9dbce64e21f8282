const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';

/** Base64 with padding, in one line. RFC 4648, section 4. */
export function encodeBase64(bytes: Uint8Array): string {
  let text = '';
  for (let i = 0; i < bytes.length; i += 3) {
    const group = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const rest = bytes.length - i;
    text += ALPHABET[group >> 18]! + ALPHABET[(group >> 12) & 63]!;
    text += rest > 1 ? ALPHABET[(group >> 6) & 63]! : '=';
    text += rest > 2 ? ALPHABET[group & 63]! : '=';
  }
  return text;
}

/**
 * Decodes base64 with padding, or answers undefined: for another character, a wrong length, or bits behind the end. White
 * space is for the caller to remove.
 */
export function decodeBase64(text: string): Uint8Array | undefined {
  if (text.length % 4 !== 0) return undefined;
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bytes = new Uint8Array((text.length / 4) * 3 - padding);
  let offset = 0;
  let group = 0;
  for (let i = 0; i < text.length; i++) {
    const value = i < text.length - padding ? ALPHABET.indexOf(text[i]!) : 0;
    if (value < 0) return undefined;
    group = (group << 6) | value;
    if (i % 4 === 3) {
      if (i === text.length - 1 && group & ((1 << (8 * padding)) - 1)) return undefined;
      for (let shift = 16; shift >= 0 && offset < bytes.length; shift -= 8) bytes[offset++] = (group >> shift) & 0xff;
      group = 0;
    }
  }
  return bytes;
}
