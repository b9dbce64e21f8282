import { join } from 'node:path';
import { parseClientConfig } from '@openvpnd/config';
import type { Say } from '../host/interface.js';
import { readSource, SourceFileError } from '../host/source-files.js';
import type { ClientConfigAnswer } from './client-config.js';

/** A common name that can be a file name: no separator, no special name. OpenVPN: CC_ALNUM | CC_UNDERBAR | CC_DASH | CC_DOT | CC_AT, and more. */
const FILE_NAME = /^[\w.@ -]{1,255}$/;
const DEFAULT_FILE = 'DEFAULT';

/**
 * The configuration of a client by its common name: the file of that name, or `DEFAULT`.
 * OpenVPN: multi_client_connect_source_ccd().
 *
 * @param exclusive --ccd-exclusive: a client without a file of its own is refused
 */
export function clientConfigFrom(
  directory: string | undefined,
  exclusive: boolean,
  say: Say,
): (commonName: string) => ClientConfigAnswer {
  if (directory === undefined) return () => ({ type: 'none' });
  return (commonName) => {
    const usable = FILE_NAME.test(commonName) && commonName !== '.' && commonName !== '..';
    if (!usable && exclusive)
      return { type: 'refused', reason: `client-config-dir: '${commonName}' cannot be a file name` };
    for (const name of usable ? [commonName, DEFAULT_FILE] : [DEFAULT_FILE]) {
      if (exclusive && name === DEFAULT_FILE) break;
      const path = join(directory, name);
      let text: string;
      try {
        text = readSource({
          kind: 'file',
          option: 'client-config-dir',
          path,
          origin: { file: path, line: 0 },
        }).toString('utf8');
      } catch (error) {
        if (!(error instanceof SourceFileError)) throw error;
        if ((error.cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') continue;
        return { type: 'refused', reason: error.message };
      }
      const { config, log } = parseClientConfig(text, path);
      for (const line of log) say(line);
      say(`OPTIONS IMPORT: reading client specific options from: ${path}`);
      return { type: 'found', config };
    }
    return exclusive ? { type: 'refused', reason: `client-config-dir: no file '${commonName}'` } : { type: 'none' };
  };
}
