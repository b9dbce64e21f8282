export type { MessageId } from './message-id.js';
export type { Reception } from './receive-window.js';
export { ReliableChannel, type ReliableChannelOptions } from './reliable-channel.js';
export { MEASURED_TIMING, OPENVPN_TIMING, type RetransmitTiming } from './retransmit-timing.js';
export type { Outgoing } from './send-window.js';
