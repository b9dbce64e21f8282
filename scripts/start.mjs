// `npm start`: without arguments the quick start, with arguments the daemon with exactly those arguments.

import { join } from 'node:path';
import { become, prepare, root } from './workspace.mjs';

prepare();
const daemonArguments = process.argv.slice(2);
if (daemonArguments.length > 0) {
  become(process.execPath, [join(root, 'apps/openvpnd/dist/main.js'), ...daemonArguments], {
    // npm runs scripts in the root; relative paths in the arguments mean the directory that the caller stood in.
    cwd: process.env.INIT_CWD ?? process.cwd(),
  });
} else {
  become(process.execPath, [join(root, 'apps/quick-start/dist/main.js')]);
}
