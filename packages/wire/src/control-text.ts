/** What a TLS record of the established control channel held. */
export interface ControlTexts {
  /** The messages in order, without their NUL. A message may be empty. */
  readonly messages: readonly string[];
  /** How many were dropped for control characters inside, or for a missing NUL. */
  readonly dropped: number;
}

/**
 * Splits a TLS record into its control messages. Each ends with a NUL; carriage returns and line feeds at its end are
 * removed; a message with a control character left (below 0x20, or 0x7f) is dropped whole, and so is a tail without NUL.
 * OpenVPN: extract_command_buffer(), the rules of 2.5.11, 2.6.12 and 2.7 (CVE-2024-5594).
 */
export function extractControlMessages(record: Uint8Array): ControlTexts {
  const messages: string[] = [];
  let dropped = 0;
  let start = 0;
  while (start < record.length) {
    const nul = record.indexOf(0, start);
    if (nul < 0) {
      dropped++;
      break;
    }
    let end = nul;
    while (end > start && (record[end - 1] === CR || record[end - 1] === LF)) end--;
    const text = record.subarray(start, end);
    if (text.some(isControlCharacter)) dropped++;
    else messages.push(decoder.decode(text));
    start = nul + 1;
  }
  return { messages, dropped };
}

/**
 * Writes one control message: UTF-8 and a NUL. It must leave in a TLS record of its own, since older peers read only the
 * first message of a record.
 *
 * @throws RangeError when the text has control characters: the peer would drop it. See {@link withoutControlCharacters}.
 */
export function emitControlMessage(text: string): Uint8Array {
  const encoded = new TextEncoder().encode(text);
  if (encoded.some(isControlCharacter)) throw new RangeError('control character in a control message');
  const bytes = new Uint8Array(encoded.length + 1);
  bytes.set(encoded);
  return bytes;
}

/** A text from elsewhere (a script, a plugin, an operator) made fit for a control message: control characters become spaces. */
export function withoutControlCharacters(text: string): string {
  return text.replace(/[\u0000-\u001f\u007f]/g, ' ');
}

const CR = 0x0d;
const LF = 0x0a;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function isControlCharacter(byte: number): boolean {
  return byte < 0x20 || byte === 0x7f;
}
