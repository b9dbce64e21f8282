export type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from './ports.js';
