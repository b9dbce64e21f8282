export type { Clock, Tunnel } from './ports.js';
