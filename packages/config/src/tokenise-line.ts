/** Most parameters of one line, the directive's name included (OpenVPN: MAX_PARMS). What follows is dropped. */
export const MAX_PARAMETERS = 16;

/** Most bytes of a parameter (OpenVPN: OPTION_PARM_SIZE). */
export const PARAMETER_BYTES = 256;

/** A line with its line feed must be shorter than this many bytes (OpenVPN: OPTION_LINE_SIZE). */
export const LINE_BYTES = 256;

/** The parameters of a line, or why it cannot be read. `dropped`: there were more than {@link MAX_PARAMETERS}. */
export type Tokens =
  | { readonly ok: true; readonly parameters: readonly string[]; readonly dropped: boolean }
  | { readonly ok: false; readonly reason: string };

type Inside = 'nothing' | 'bare' | 'double quotes' | 'single quotes';

/**
 * Splits one line into parameters by OpenVPN's rules: white space separates; `#` and `;` at the start of a parameter
 * begin a comment; double quotes keep white space and honour backslashes, single quotes keep everything; a quoted
 * parameter ends at its closing quote even without white space after it; a backslash may precede only a backslash, a
 * double quote or white space. Never throws.
 *
 * @param place how the place is named in a reason, `server.conf:12`
 */
export function tokeniseLine(line: string, place: string): Tokens {
  const parameters: string[] = [];
  let inside: Inside = 'nothing';
  let backslash = false;
  let current = '';
  let bytes = 0;

  // The end of the line behaves as one more white-space character, written here as ''.
  const characters = [...line, ''];
  for (const [index, character] of characters.entries()) {
    if (character === '\\' && !backslash && inside !== 'single quotes') {
      backslash = true;
      continue;
    }
    let out = '';
    let done = false;
    switch (inside) {
      case 'nothing':
        if (isSpace(character)) break;
        if (character === ';' || character === '#') return { ok: true, parameters, dropped: false };
        if (character === '"' && !backslash) inside = 'double quotes';
        else if (character === "'" && !backslash) inside = 'single quotes';
        else {
          out = character;
          inside = 'bare';
        }
        break;
      case 'bare':
        if (isSpace(character) && !backslash) done = true;
        else out = character;
        break;
      case 'double quotes':
        if (character === '"' && !backslash) done = true;
        else out = character;
        break;
      case 'single quotes':
        if (character === "'") done = true;
        else out = character;
        break;
    }
    if (done) {
      parameters.push(current);
      current = '';
      bytes = 0;
      inside = 'nothing';
    }
    if (backslash && out !== '' && out !== '\\' && out !== '"' && !isSpace(out)) {
      return {
        ok: false,
        reason:
          `Options warning: Bad backslash ('\\') usage in ${place}: a backslash may stand only before a backslash, a double quote ` +
          'or white space; write \\\\ for a backslash in a Windows path',
      };
    }
    backslash = false;
    if (out !== '') {
      current += out;
      bytes += utf8Bytes(out);
      if (bytes > PARAMETER_BYTES) {
        return {
          ok: false,
          reason: `Parameter at ${place} is too long (${PARAMETER_BYTES} bytes at most): ${current.slice(0, 40)}…`,
        };
      }
    }
    if (parameters.length === MAX_PARAMETERS) {
      const next = characters.slice(index + 1).find((other) => !isSpace(other));
      return { ok: true, parameters, dropped: next !== undefined && next !== '#' && next !== ';' };
    }
  }
  switch (inside) {
    case 'nothing':
      return { ok: true, parameters, dropped: false };
    case 'double quotes':
      return { ok: false, reason: `No closing quotation (") in ${place}` };
    case 'single quotes':
      return { ok: false, reason: `No closing single quotation (') in ${place}` };
    case 'bare':
      return { ok: false, reason: `Options warning: Bad backslash ('\\') usage in ${place}: the line ends with it` };
  }
}

/** Bytes of a character or text in UTF-8. */
export function utf8Bytes(text: string): number {
  let bytes = 0;
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    bytes += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x1_0000 ? 3 : 4;
  }
  return bytes;
}

function isSpace(character: string): boolean {
  return character === '' || character === ' ' || (character >= '\t' && character <= '\r');
}
