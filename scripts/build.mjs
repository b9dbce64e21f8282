// `npm run build`: install and build, nothing else. Afterwards `node apps/openvpnd/dist/main.js` is the daemon.

import { build, install } from './workspace.mjs';

install();
build();
