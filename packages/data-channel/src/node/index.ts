export { nodeAeadBackend, UnsupportedAeadError } from './node-aead-backend.js';
