// `pnpm bench`: builds, then measures a tunnel of ours against one of the stock openvpn. Arguments go to bench/tunnel.mjs.

import { join } from 'node:path';
import { interopEntrance } from './interop-entrance.mjs';
import { become, prepare, root } from './workspace.mjs';

prepare();
const [command, ...before] = interopEntrance();
become(command, [...before, join(root, 'bench/tunnel.mjs'), ...process.argv.slice(2)]);
