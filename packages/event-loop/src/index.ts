export {
  DEVICE_VECTORS_PER_TURN,
  EventLoop,
  type EventLoopCounters,
  type EventLoopOptions,
  LINK_VECTORS_PER_TURN,
  VECTOR_ROWS,
} from './event-loop.js';
export { AT_ONCE_MS, HOLD_OFF_BELOW_PACKETS, HOLD_OFF_FROM_PACKETS, HOLD_OFF_MICROSECONDS } from './flood.js';
export type { Clock, Tunnel } from './ports.js';
