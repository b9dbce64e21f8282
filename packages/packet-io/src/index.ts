export { hasNativeAddon } from './native-addon.js';
export { type AeadChoice, nativeBackend } from './native-backend.js';
export { nativeFlows } from './native-flows.js';
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
export { DEVICE_VECTOR, type NativeTunDevice, openTun, type TunOffload, type TunOptions } from './tun-device.js';
export {
  LINK_VECTOR,
  MULTIHOME_IDS,
  type NativeUdpLink,
  type NativeUdpLinkOptions,
  openUdpLink,
  type UdpOffload,
  udpOffloadOf,
} from './udp-link.js';
