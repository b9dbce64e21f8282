import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** The addon that stands for these sources; nothing is done when it is up to date. Import it before the sources. */
execFileSync(process.execPath, [fileURLToPath(new URL('../scripts/build-addon.mjs', import.meta.url))], {
  stdio: ['ignore', 'inherit', 'inherit'],
});
