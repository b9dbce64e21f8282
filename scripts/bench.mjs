// `pnpm bench`: builds, then measures a tunnel of ours against one of the stock openvpn (bench/tunnel.mjs; `round-trip`: idle), or with `pnpm bench crowd` a server with many clients
// (bench/crowd.mjs; `idle`: what an idle one costs; `many`: all of them with traffic; `routes`: many networks behind them), or with `pnpm bench start` how long a
// server takes until it listens (bench/start.mjs). Arguments go to these.

import { join } from 'node:path';
import { interopEntrance } from './interop-entrance.mjs';
import { become, prepare, root } from './workspace.mjs';

prepare();
const [command, ...before] = interopEntrance();
const [subject, ...rest] = process.argv.slice(2);
const isNamed = ['crowd', 'idle', 'many', 'round-trip', 'routes', 'start'].includes(subject);
const program = isNamed ? [`${subject}.mjs`, ...rest] : ['tunnel.mjs', ...process.argv.slice(2)];
become(command, [...before, join(root, 'bench', program[0]), ...program.slice(1)]);
