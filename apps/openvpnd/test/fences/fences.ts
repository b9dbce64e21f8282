import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** One package's fence: its entry in fences.json. */
export interface Fence {
  /** What the package is for: the reason that is shown when an import is refused. */
  readonly role: string;
  /** An adapter is all node code and is imported by the app alone. */
  readonly adapter?: boolean;
  /** Our packages that it may import, each with what for. */
  readonly mayImport: Readonly<Record<string, string>>;
  /** The same, by `import type` alone. */
  readonly typesOnly?: Readonly<Record<string, string>>;
  /** Libraries from elsewhere. */
  readonly libraries?: Readonly<Record<string, string>>;
  /** Why it may use the part of node:crypto that types/node-crypto.d.ts declares; without it none. */
  readonly nodeCrypto?: string;
}

/** An app's fence; `*` lets it import every package except testkit. */
export interface AppFence {
  readonly role: string;
  readonly mayImport: '*' | Readonly<Record<string, string>>;
}

/** The content of fences.json. */
export interface Fences {
  readonly packages: Readonly<Record<string, Fence>>;
  readonly apps: Readonly<Record<string, AppFence>>;
}

/** The repository's root, with a slash at the end. */
export const root: string = fileURLToPath(new URL('../../../../', import.meta.url));

/** fences.json as it stands. */
export const fences: Fences = JSON.parse(readFileSync(`${root}fences.json`, 'utf8'));
