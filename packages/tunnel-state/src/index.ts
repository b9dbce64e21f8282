export { AddressRace, interleaveFamilies, type Racer } from './address-race.js';
export {
  type ConnectionProfile,
  ConnectionWalk,
  type ConnectionWalkOptions,
  type FailureAdvance,
  type WalkAction,
} from './connection-walk.js';
export { Context, type ContextState } from './context.js';
export type { ContextMode } from './context-mode.js';
export { type Allocation, MultiContext, type MultiContextOptions } from './multi-context.js';
export type { InstanceState, MultiInstance } from './multi-instance.js';
export { SLOT_REST_MS, SlotAllocator } from './slot-allocator.js';
export { TopContext } from './top-context.js';
