/** Longest user name and password (OpenVPN: USER_PASS_LEN without its NUL). */
export const MAX_USER_PASS_BYTES = 127;

/** User name and password, the latter undefined when the file holds only a name; or why it is no such file. */
export type UserPassResult =
  | { readonly ok: true; readonly username: string; readonly password: string | undefined }
  | { readonly ok: false; readonly reason: string };

/**
 * The content of an `auth-user-pass` file: user name on the first line, password on the second, the rest ignored.
 * Control characters are taken out, as OpenVPN does. Never throws.
 */
export function parseUserPass(text: string): UserPassResult {
  const lines = text.split('\n');
  const [first = '', second] = lines;
  if (first === '')
    return { ok: false, reason: 'the first line of a user name and password file must hold the user name' };
  const username = withoutControls(first);
  // A file that ends after the name leaves nothing behind its line feed.
  const password = second === undefined || (second === '' && lines.length === 2) ? undefined : withoutControls(second);
  const encoder = new TextEncoder();
  for (const [what, value] of [['user name', username] as const, ['password', password ?? ''] as const]) {
    if (encoder.encode(value).length > MAX_USER_PASS_BYTES) {
      return { ok: false, reason: `the ${what} is longer than ${MAX_USER_PASS_BYTES} bytes` };
    }
  }
  return { ok: true, username, password };
}

function withoutControls(text: string): string {
  return [...text].filter((character) => character >= ' ' && character !== '\x7f').join('');
}
