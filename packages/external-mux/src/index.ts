export type { LinkSocket, Readiness } from './ports.js';
