import type { Options } from '@openvpnd/config';
import type { Say } from './interface.js';
import { StateFile } from './state-file.js';

/** The files that one reading of the options keeps up to date. One that cannot be opened is told and missing: the tunnel works without. */
export interface StateFiles {
  /** --ifconfig-pool-persist */
  readonly pool: StateFile | undefined;
}

/** Opens what the options name. Never throws. */
export async function openStateFiles(options: Options, say: Say): Promise<StateFiles> {
  const persist = options.server?.poolPersist;
  const pool =
    persist === undefined
      ? undefined
      : await openOrTell(persist.path, persist.seconds === 0 ? 'read' : 'read-write', say);
  return { pool };
}

/** Waits for what is being written, and closes them. */
export async function closeStateFiles(files: StateFiles): Promise<void> {
  await files.pool?.close();
}

const PURPOSES = { write: 'WRITE', 'read-write': 'READ/WRITE', read: 'READ' } as const;

async function openOrTell(path: string, purpose: keyof typeof PURPOSES, say: Say): Promise<StateFile | undefined> {
  try {
    return await StateFile.open(path, purpose, say);
  } catch (error) {
    say(`Note: cannot open ${path} for ${PURPOSES[purpose]}: ${(error as Error).message}`);
    return undefined;
  }
}
