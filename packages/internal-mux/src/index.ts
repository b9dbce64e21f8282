export type { DeviceReadiness, TunDevice } from './ports.js';
