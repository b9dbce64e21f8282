export type { CompressionSetting } from './compression-framing.js';
export { DataChannel, type DataChannelOptions, type DataKeyOptions, type StaticKeyOptions } from './data-channel.js';
export { DATA_DROPS, type DataDrop } from './drops.js';
export type { EpochDerivation } from './epoch-receive-keys.js';
export { findHmacDigest, type HmacDigest } from './hmac-digest.js';
export { AEAD_LIMITS, type AeadLimits } from './key-slots.js';
export { clampMss } from './mss-clamp.js';
export type { PeerCounters } from './peer-counters.js';
export type { PeerSettings } from './peer-settings.js';
export {
  type AeadBackend,
  type AeadKeyHandle,
  type AeadKeyOptions,
  FLOW_RECEIVES,
  FLOW_SENDS,
  type FlowOffload,
  type FlowPacket,
} from './ports.js';
export {
  DEFAULT_REPLAY_WINDOW,
  MAX_REPLAY_WINDOW_PACKETS,
  REPLAY_ACCEPTED,
  REPLAY_SEEN,
  REPLAY_TOO_OLD,
  REPLAY_ZERO,
  type ReplayVerdict,
  ReplayWindow,
  type ReplayWindowOptions,
} from './replay-window.js';
export type { DataSignal, RefusalSignal, RenegotiateReason } from './signals.js';
export { splitSuperPacket } from './super-packet.js';
