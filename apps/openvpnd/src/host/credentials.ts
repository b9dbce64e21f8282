import { type FileSource, parseUserPass } from '@openvpnd/config';
import { readSource, SourceFileError } from './source-files.js';

/** What `--auth-user-pass` and its like supply. */
export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/**
 * Reads a user name and a password from the first two lines of a file or an inline block.
 *
 * @throws SourceFileError when it cannot be read, lacks a line, or a line is too long: nothing is ever truncated
 */
export function readCredentials(source: FileSource): Credentials {
  const parsed = parseUserPass(readSource(source).toString('utf8'));
  const where = source.kind === 'file' ? `'${source.path}'` : 'the inline block';
  if (!parsed.ok) throw new SourceFileError(`--${source.option}: ${where}: ${parsed.reason}`);
  const { username, password = '' } = parsed;
  if (username === '' || password === '') {
    // The console is not asked: a daemon in the foreground of a unit has none.
    throw new SourceFileError(
      `--${source.option}: ${where} must hold the user name on its first line and the password on its second`,
    );
  }
  return { username, password };
}
