export { assertNever } from './assert-never.js';
export { DeadlineHeap } from './deadline-heap.js';
export { earliest, type Instant, NEVER } from './instant.js';
export { type Log, type LogFields, silentLog } from './log.js';
export type { Random } from './random.js';
export { Secret } from './secret.js';
