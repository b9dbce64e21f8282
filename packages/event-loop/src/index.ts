export {
  DEVICE_VECTORS_PER_TURN,
  EventLoop,
  type EventLoopCounters,
  type EventLoopOptions,
  LINK_VECTORS_PER_TURN,
  VECTOR_ROWS,
} from './event-loop.js';
export type { Clock, Tunnel } from './ports.js';
