import { unlinkSync, writeFileSync } from 'node:fs';
import { FatalError } from '../run.js';

/** --writepid. @throws FatalError */
export function writePidFile(path: string): void {
  try {
    writeFileSync(path, `${process.pid}\n`);
  } catch (error) {
    throw new FatalError(`Open error on pid file ${path}: ${(error as Error).message}`, { cause: error });
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
