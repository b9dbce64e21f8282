import type { Origin } from '../statement.js';

/**
 * Where the content of a file option comes from. Nothing has been read yet; option and origin serve later messages.
 * An inline text has its lines ended by `\n`.
 */
export type FileSource =
  | { readonly kind: 'file'; readonly option: string; readonly path: string; readonly origin: Origin }
  | { readonly kind: 'inline'; readonly option: string; readonly text: string; readonly origin: Origin };
