// `pnpm bench`: builds, then measures a tunnel of ours against one of the stock openvpn. Arguments go to bench/tunnel.mjs.

import { join } from 'node:path';
import { interopEntrance } from './interop-entrance.mjs';
import { become, build, install, root } from './workspace.mjs';

install();
build();
const [command, ...before] = interopEntrance();
become(command, [...before, join(root, 'bench/tunnel.mjs'), ...process.argv.slice(2)]);
