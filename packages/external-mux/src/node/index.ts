export {
  openUdpLink,
  RECEIVE_QUEUE_PACKETS,
  SEND_QUEUE_PACKETS,
  type UdpLink,
  type UdpLinkCounters,
} from './udp-link.js';
