export { ChangeCount } from './change-count.js';
export {
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_PUNT,
  FATE_RAW,
  FATE_SEAL,
  FATE_TO_DEVICE,
  FATE_TO_LINK,
  type Fate,
} from './fate.js';
export {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_SCOPE,
  ADDRESS_WORDS,
  type LinkAddress,
} from './link-address.js';
export { NO_KEY, NO_SLOT, PacketVector, type PacketVectorOptions, VECTOR_COLUMNS } from './packet-vector.js';
export { spreadRuns } from './spread-runs.js';
