import { accessSync, constants } from 'node:fs';
import { dirname } from 'node:path';
import type { Options } from '@openvpnd/config';
import type { Say } from './interface.js';
import { StateFile } from './state-file.js';

/** The files that one reading of the options keeps up to date. One that cannot be opened is told and missing: the tunnel works without. */
export interface StateFiles {
  /** --ifconfig-pool-persist */
  readonly pool: StateFile | undefined;
  /** --status */
  readonly status: StateFile | undefined;
}

/** Opens what the options name. Never throws. */
export async function openStateFiles(options: Options, say: Say): Promise<StateFiles> {
  const persist = options.server?.poolPersist;
  const pool =
    persist === undefined
      ? undefined
      : await openOrTell(persist.path, persist.seconds === 0 ? 'read' : 'read-write', say);
  const status = options.log.status === undefined ? undefined : await openOrTell(options.log.status.path, 'write', say);
  return { pool, status };
}

/** Waits for what is being written, and closes them. */
export async function closeStateFiles(files: StateFiles): Promise<void> {
  await files.pool?.close();
  await files.status?.close();
}

/** OpenVPN's sentence about a file of --status that cannot be written. OpenVPN: options_postprocess_filechecks(). */
export function statusProblem(options: Options): string | undefined {
  const path = options.log.status?.path;
  if (path === undefined) return undefined;
  const failing = (what: string): string | undefined => {
    try {
      accessSync(what, constants.R_OK | constants.W_OK);
      return undefined;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code;
    }
  };
  let code = failing(path);
  if (code === 'ENOENT') code = failing(dirname(path));
  return code === undefined ? undefined : `Options error: --status fails with '${path}': ${REASONS[code] ?? code}`;
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'No such file or directory (errno=2)',
  EACCES: 'Permission denied (errno=13)',
  EROFS: 'Read-only file system (errno=30)',
};

const PURPOSES = { write: 'WRITE', 'read-write': 'READ/WRITE', read: 'READ' } as const;

async function openOrTell(path: string, purpose: keyof typeof PURPOSES, say: Say): Promise<StateFile | undefined> {
  try {
    return await StateFile.open(path, purpose, say);
  } catch (error) {
    say(`Note: cannot open ${path} for ${PURPOSES[purpose]}: ${(error as Error).message}`);
    return undefined;
  }
}
