export { evpBackend } from './evp-backend.js';
export { hasNativeAddon } from './native-addon.js';
export { PacketIoError, type PacketIoErrorCode } from './packet-io-error.js';
export type { PortCounters } from './port-counters.js';
export { changeUser, findGroup, findUser, withNetAdmin } from './privileges.js';
export {
  duplicateSocket,
  openTcpSocket,
  type PassedSocket,
  PassedSocketError,
  type SocketOptions,
  type SocketSettings,
  setSocket,
  takePassedSockets,
} from './socket.js';
export { type NativeTunDevice, openTun, type TunOptions } from './tun-device.js';
export { DEFAULT_BUFFER_BYTES, type NativeUdpLink, type NativeUdpLinkOptions, openUdpLink } from './udp-link.js';
