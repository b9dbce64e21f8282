import { closeSync, constants, openSync, unlinkSync, writeSync } from 'node:fs';
import { FatalError } from '../run.js';
import { describeErrno } from './source-files.js';

/** --writepid. @throws FatalError */
export function writePidFile(path: string): void {
  let descriptor: number | undefined;
  try {
    // O_NONBLOCK: a FIFO must not hang the daemon.
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC | constants.O_NONBLOCK;
    descriptor = openSync(path, flags, 0o644);
    writeSync(descriptor, `${process.pid}\n`);
  } catch (error) {
    const reason = describeErrno((error as NodeJS.ErrnoException).code);
    throw new FatalError(`Open error on pid file ${path}: ${reason}`, { cause: error });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

/** Removes it at exit, as OpenVPN does since 2.5. One that is gone already is no error. */
export function removePidFile(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // Somebody else has cleaned up, or the directory is no longer ours.
  }
}
