import type { FileSource } from '@openvpnd/config';
import { readSource, SourceFileError } from './source-files.js';

/** Makes a key of the text of its file, or says why it is none. */
export type ParseKey<Key> = (
  text: string,
) => { readonly ok: true; readonly value: Key } | { readonly ok: false; readonly reason: string };

/**
 * Reads a key from a file or an inline block. `what` it should be and the `type` of `--genkey` that makes one are for the message.
 *
 * @throws SourceFileError when it cannot be read or is none
 */
export function readKey<Key>(source: FileSource, parse: ParseKey<Key>, what: string, type: string): Key {
  const parsed = parse(readSource(source).toString('latin1'));
  if (parsed.ok) return parsed.value;
  const { file, line } = source.origin;
  const where = source.kind === 'file' ? `'${source.path}'` : 'the inline block';
  throw new SourceFileError(
    `--${source.option} (${file}:${line}): ${where} is not ${what}: ${parsed.reason}; make one with openvpnd --genkey ${type} FILE`,
  );
}
