// `npm run build`: install and build, nothing else. Afterwards `node apps/openvpnd/dist/main.js` is the daemon.

import { prepare } from './workspace.mjs';

prepare();
