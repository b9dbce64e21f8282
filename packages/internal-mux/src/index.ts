export {
  type AddressLease,
  AddressPool,
  type AddressPoolOptions,
  MAX_POOL_ADDRESSES,
  type PoolEntry,
} from './address-pool.js';
export { INTERNAL_DROP_CODES, type InternalDropCode } from './drop-code.js';
export {
  formatInnerAddress,
  formatPrefix,
  type InnerAddress,
  netmaskLength,
  type Prefix,
  parseInnerAddress,
  parsePrefix,
  prefixOf,
} from './inner-address.js';
export { type AddRouteResult, InternalMux, type InternalMuxOptions } from './internal-mux.js';
export { OuterTransport } from './outer-transport.js';
export type { DeviceReadiness, TunDevice } from './ports.js';
export { PrefixTable } from './prefix-table.js';
export { noteTrafficClass } from './traffic-class.js';
