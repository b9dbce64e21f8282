import type { Origin, Statement } from './statement.js';
import { LINE_BYTES, tokeniseLine, utf8Bytes } from './tokenise-line.js';

/** Most bytes of all configuration files together. */
export const MAX_CONFIG_BYTES: number = 4 * 1024 * 1024;

/** The statements of a text in order, with notes for the log. */
export interface StatementsResult {
  readonly statements: readonly Statement[];
  readonly warnings: readonly string[];
  /** Why the text cannot be read beyond these statements, or undefined when it was read to its end. */
  readonly problem: string | undefined;
}

/** The text of a configuration file, or why it is none. */
export type DecodedText =
  | { readonly ok: true; readonly value: string }
  | { readonly ok: false; readonly reason: string };

/**
 * Turns the bytes of a configuration file into text: UTF-8 with or without byte order mark. UTF-16, other binary
 * content and files over {@link MAX_CONFIG_BYTES} are refused. Never throws.
 */
export function decodeConfig(bytes: Uint8Array, file: string): DecodedText {
  if (bytes.length > MAX_CONFIG_BYTES) {
    return { ok: false, reason: `In ${file}: the file is too large (${MAX_CONFIG_BYTES} bytes at most)` };
  }
  const utf16 = (bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff);
  if (utf16) return { ok: false, reason: `In ${file}: the file is UTF-16 text; save it as UTF-8` };
  if (bytes.includes(0)) {
    return {
      ok: false,
      reason: `In ${file}: the file holds zero bytes, it is binary or UTF-16; save it as UTF-8 text`,
    };
  }
  return { ok: true, value: new TextDecoder('utf-8').decode(bytes) };
}

/**
 * Reads the statements of a configuration text: one directive a line by {@link tokeniseLine}, a leading `--` dropped,
 * `<name>` … `</name>` as one statement whose parameter is the text between. CRLF and a byte order mark are fine.
 * Nothing is judged here. Never throws.
 *
 * @param firstLine number of the first line, for a text that is part of another
 */
export function readStatements(text: string, file: string, firstLine = 1): StatementsResult {
  const statements: Statement[] = [];
  const warnings: string[] = [];
  const lines = text.split('\n');
  // A final line feed ends the last line and begins no other.
  if (lines.at(-1) === '') lines.pop();

  let block: { tag: string; closing: string; origin: Origin; content: string[] } | undefined;
  for (const [index, raw] of lines.entries()) {
    const origin: Origin = { file, line: firstLine + index };
    const place = `${file}:${origin.line}`;
    if (block !== undefined) {
      if (raw.trimStart().startsWith(block.closing)) {
        const content = block.content.map((line) => `${line}\n`).join('');
        statements.push({ name: block.tag, parameters: [content], inline: true, origin: block.origin });
        block = undefined;
      } else {
        block.content.push(raw);
      }
      continue;
    }
    const line = index === 0 && raw.startsWith('\ufeff') ? raw.slice(1) : raw;
    if (utf8Bytes(line) + 1 >= LINE_BYTES) {
      const problem = `In ${place}: Maximum option line length (${LINE_BYTES}) exceeded, line starts with ${line.slice(0, 40)}`;
      return { statements, warnings, problem };
    }
    const tokens = tokeniseLine(line, place);
    if (!tokens.ok) return { statements, warnings, problem: tokens.reason };
    const [first, ...parameters] = tokens.parameters;
    if (first === undefined) continue;
    if (tokens.dropped) warnings.push(`NOTE: parameters after the 15th are dropped (${place}: ${first})`);
    const name = first.length > 2 && first.startsWith('--') ? first.slice(2) : first;
    const tag = parameters.length === 0 ? /^<(.+)>$/.exec(name)?.[1] : undefined;
    if (tag === undefined) statements.push({ name, parameters, inline: false, origin });
    else if (tag.startsWith('/'))
      return { statements, warnings, problem: `Endtag <${tag}> in ${place} closes no block` };
    else block = { tag, closing: `</${tag}>`, origin, content: [] };
  }
  if (block !== undefined) {
    const problem = `ERROR: Endtag ${block.closing} missing (<${block.tag}> was opened in ${file}:${block.origin.line})`;
    return { statements, warnings, problem };
  }
  return { statements, warnings, problem: undefined };
}
