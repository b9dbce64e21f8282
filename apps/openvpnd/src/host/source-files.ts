import { closeSync, constants as fsConstants, fstatSync, openSync, readSync } from 'node:fs';
import { constants as osConstants } from 'node:os';
import type { FileSource } from '@openvpnd/config';

/** A file that an option names cannot be used. The message is OpenVPN's line without `Options error: `. */
export class SourceFileError extends Error {
  readonly code = 'ERR_SOURCE_FILE';
  override readonly name = 'SourceFileError';
}

/** No key, certificate or list that an option names is larger; /dev/zero is. */
const SOURCE_LIMIT_BYTES = 4 << 20;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory',
  EACCES: 'Permission denied',
  EISDIR: 'Is a directory',
  ENOTDIR: 'Not a directory',
  ELOOP: 'Too many levels of symbolic links',
  ENAMETOOLONG: 'File name too long',
  EMFILE: 'Too many open files',
  ENXIO: 'No such device or address',
};

/** The system's words for an error code, as strerror() has them. */
export function describeErrno(code: string | undefined): string {
  return (code !== undefined ? REASONS[code] : undefined) ?? code ?? 'unknown error';
}

/** The number of an error code. */
export function errnoOf(code: string | undefined): number | '?' {
  return (code === undefined ? undefined : (osConstants.errno as Record<string, number>)[code]) ?? '?';
}

/**
 * The content of a source. Never waits: a FIFO without a writer reads as empty and is refused.
 *
 * @throws SourceFileError that names the option, the path and the reason
 */
export function readSource(source: FileSource): Buffer {
  if (source.kind === 'inline') return Buffer.from(source.text, 'utf8');
  const kept = KEPT.get(source);
  if (kept !== undefined && source.option !== 'crl-verify') return Buffer.from(kept);
  try {
    const content = readFile(source);
    KEPT.set(source, Buffer.from(content));
    return content;
  } catch (error) {
    if (kept === undefined) throw error;
    return Buffer.from(kept);
  }
}

/** What was read for the options that are in force: after --user a restart could not read a key again (--persist-key, always on). Lists of revoked certificates are read anew where that works. */
const KEPT: WeakMap<FileSource, Buffer> = new WeakMap();

function readFile(source: Extract<FileSource, { readonly kind: 'file' }>): Buffer {
  const { option, path } = source;
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: opening a FIFO must not hang the daemon.
    descriptor = openSync(path, fsConstants.O_RDONLY | fsConstants.O_NONBLOCK);
    const status = fstatSync(descriptor);
    if (status.isDirectory()) throw Object.assign(new Error(), { code: 'EISDIR' });
    return readUpTo(descriptor, option, path);
  } catch (error) {
    if (error instanceof SourceFileError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    throw new SourceFileError(`--${option} fails with '${path}': ${describeErrno(code)} (errno=${errnoOf(code)})`, {
      cause: error,
    });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readUpTo(descriptor: number, option: string, path: string): Buffer {
  const parts: Buffer[] = [];
  let total = 0;
  for (;;) {
    const part = Buffer.alloc(64 << 10);
    const count = readSync(descriptor, part);
    if (count === 0) break;
    total += count;
    if (total > SOURCE_LIMIT_BYTES) {
      throw new SourceFileError(`--${option} fails with '${path}': larger than ${SOURCE_LIMIT_BYTES} bytes`);
    }
    parts.push(part.subarray(0, count));
  }
  return Buffer.concat(parts);
}
