import { describeAeadBackend } from '../conformance/index.js';
import { nodeAeadBackend } from '../src/node/index.js';

describeAeadBackend('node:crypto', nodeAeadBackend);
