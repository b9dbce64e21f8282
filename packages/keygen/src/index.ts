export {
  type DataChannelKeys,
  type DirectionalKey,
  dataChannelKeys,
  IMPLICIT_IV_BYTES,
  staticDataChannelKeys,
  zeroKeys,
} from './data-channel-keys.js';
export { type DataCipher, findDataCipher } from './data-cipher.js';
export {
  EPOCH_IV_BYTES,
  EPOCH_SECRET_BYTES,
  type EpochDataKey,
  epochDataKey,
  expandLabel,
  FIRST_EPOCH,
  hkdfExpand,
  nextEpochSecret,
} from './epoch.js';
export { type KeyDirection, type KeySlots, keySlots } from './key-direction.js';
export {
  type ClientKeySource,
  deriveKey2ByPrf,
  EKM_LABEL_DATA_KEYS,
  EKM_LABEL_DYNAMIC_TLS_CRYPT,
  EKM_LABEL_P2P_PEER_ID,
  EKM_PEER_ID_BYTES,
  KEY_HALF_BYTES,
  KEY_SLOT_BYTES,
  KEY2_BYTES,
  type KeySource,
  P2P_PEER_ID_WITHOUT_EKM,
} from './key2.js';
export { MESSAGE_TAG_BYTES, messageTag, sameTag } from './message-tag.js';
export {
  type DataPacketShape,
  type FragmentSetting,
  fragmentPartOf,
  type MssfixSetting,
  mssOf,
  occLinkMtu,
  payloadWithin,
  sealedBytesOf,
} from './overhead.js';
export { emitStaticKey, generateStaticKey, parseStaticKey, type StaticKeyResult } from './static-key.js';
export { tls1Prf } from './tls1-prf.js';
