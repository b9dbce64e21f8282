import type { FileSource } from '@openvpnd/config';
import { readSource, SourceFileError } from './source-files.js';

/** What `--auth-user-pass` supplies. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** OpenVPN: USER_PASS_LEN, with its terminating NUL. */
const CREDENTIAL_LIMIT_BYTES = 127;

/**
 * Reads a user name and a password from the first two lines of a file or an inline block.
 *
 * @throws SourceFileError when it cannot be read, lacks a line, or a line is too long: nothing is ever truncated
 */
export function readCredentials(source: FileSource): Credentials {
  const lines = readSource(source).toString('utf8').split(/\r?\n/);
  const where = source.kind === 'file' ? `'${source.path}'` : 'the inline block';
  const [username, password] = lines;
  if (username === undefined || username === '' || password === undefined || password === '') {
    // The console is not asked: a daemon in the foreground of a unit has none.
    throw new SourceFileError(
      `--auth-user-pass: ${where} must hold the user name on its first line and the password on its second`,
    );
  }
  for (const [what, text] of [
    ['user name', username],
    ['password', password],
  ] as const) {
    if (Buffer.byteLength(text) > CREDENTIAL_LIMIT_BYTES) {
      throw new SourceFileError(
        `--auth-user-pass: the ${what} in ${where} is longer than ${CREDENTIAL_LIMIT_BYTES} bytes`,
      );
    }
  }
  return { username, password };
}
