export { type DatagramLinkOptions, datagramLinks } from './datagram-links.js';
export { type LinkMakerOptions, linkMaker } from './link-maker.js';
export { PACKET_QUEUE, PacketLink, type PacketLinkCounters } from './packet-link.js';
export type { StreamSocketPlace, TcpDialOptions } from './tcp-dial.js';
export { TCP_CONTROL_PACKETS, TCP_RECEIVE_QUEUE_PACKETS, type TcpLink, type TcpLinkCounters } from './tcp-link.js';
export { LISTEN_BACKLOG, type TcpLinkOptions, tcpLinks } from './tcp-links.js';
export {
  openUdpLink,
  RECEIVE_QUEUE_PACKETS,
  SEND_QUEUE_PACKETS,
  type UdpLink,
  type UdpLinkCounters,
} from './udp-link.js';
