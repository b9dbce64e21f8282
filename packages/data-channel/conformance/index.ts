export { describeAeadBackend } from './aead-backend.js';
