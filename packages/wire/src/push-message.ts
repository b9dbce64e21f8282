import type { PushContinuation } from './control-message.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** Largest control message that every version takes, with its NUL. OpenVPN: PUSH_BUNDLE_SIZE. */
export const PUSH_BUNDLE_BYTES = 1024;
/** Bytes that a bundle keeps free for what is added to it at last. OpenVPN: push.c. */
const PUSH_RESERVE_BYTES = 84;
/** Longest option that still fits into a PUSH_REPLY. */
export const MAX_PUSH_OPTION_BYTES: number = PUSH_BUNDLE_BYTES - PUSH_RESERVE_BYTES - 'PUSH_REPLY'.length - 1;
/** Most text that a client gathers from the parts of one reply: room for some 25 000 routes, no more. */
export const MAX_PUSH_CHARACTERS: number = 1 << 20;

/**
 * Writes options as one PUSH_REPLY or as several with `push-continuation`. The order is kept. An option cannot hold a
 * comma: there is no escape for it.
 *
 * @throws RangeError when an option is longer than {@link MAX_PUSH_OPTION_BYTES}: check before.
 */
export function splitPushReply(options: readonly string[]): string[] {
  const messages: string[] = [];
  let message = 'PUSH_REPLY';
  let length = message.length;
  for (const option of options) {
    const optionLength = byteLength(option);
    if (optionLength > MAX_PUSH_OPTION_BYTES)
      throw new RangeError(`pushed option of ${optionLength} bytes: ${option.slice(0, 40)}…`);
    if (length + optionLength >= PUSH_BUNDLE_BYTES - PUSH_RESERVE_BYTES) {
      messages.push(`${message},push-continuation 2`);
      message = 'PUSH_REPLY';
      length = message.length;
    }
    message += `,${option}`;
    length += 1 + optionLength;
  }
  messages.push(messages.length > 0 ? `${message},push-continuation 1` : message);
  return messages;
}

/** One part of a reply or an update, as parseControlMessage gives it. */
export interface PushPart {
  readonly options: readonly string[];
  readonly continuation: PushContinuation;
}

/** Gathers the parts of a reply until the last one has come. OpenVPN: process_incoming_push_reply(). */
export class PushAssembly {
  /** Of the parts so far: one without options leaves nothing behind, however many come. */
  #options: string[] = [];
  #characters = 0;

  /**
   * Takes the next part.
   *
   * @returns all options after the last part, undefined while more is to come, or a reason when the parts exceed
   *   {@link MAX_PUSH_CHARACTERS}; the assembly is empty again after either end
   */
  handlePart(part: PushPart): Parsed<string[] | undefined> {
    for (const option of part.options) {
      this.#options.push(option);
      this.#characters += option.length + 1;
    }
    const tooLong = this.#characters > MAX_PUSH_CHARACTERS;
    if (part.continuation === 'more' && !tooLong) return accepted(undefined);
    const options = this.#options;
    this.#options = [];
    this.#characters = 0;
    return tooLong ? refused('push: too many options') : accepted(options);
  }
}

/**
 * Writes the options of an update (`option,-option,?option…`) as PUSH_UPDATE messages, cut at commas. Refused when it is
 * empty or one option is too long for a bundle. OpenVPN: message_splitter(), 2.7.
 */
export function splitPushUpdate(options: string, bundleBytes: number = PUSH_BUNDLE_BYTES): Parsed<string[]> {
  const limit = bundleBytes - PUSH_RESERVE_BYTES - 'PUSH_UPDATE,'.length;
  if (options === '') return refused('push update: no options');
  // Cut on bytes, since that is what the bundle counts; a comma is one byte wherever it stands.
  let rest = new TextEncoder().encode(options);
  const parts: string[] = [];
  while (rest.length > limit) {
    const comma = rest.lastIndexOf(COMMA, limit);
    if (comma <= 0) return refused('push update: option too long');
    parts.push(decoder.decode(rest.subarray(0, comma)));
    rest = rest.subarray(comma + 1);
  }
  parts.push(decoder.decode(rest));
  if (parts.length === 1) return accepted([`PUSH_UPDATE,${options}`]);
  return accepted(parts.map((part, i) => `PUSH_UPDATE,${part},push-continuation ${i === parts.length - 1 ? 1 : 2}`));
}

const COMMA = 0x2c;
const decoder = new TextDecoder('utf-8', { ignoreBOM: true });

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}
