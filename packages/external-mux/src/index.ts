export { AddressTable } from './address-table.js';
export { type ArrivalCounters, ArrivalQueue, type ArrivalQueueOptions } from './arrival-queue.js';
export { EXTERNAL_DROP_CODES, type ExternalDropCode } from './drop-code.js';
export {
  type Endpoint,
  endpointOf,
  formatEndpoint,
  formatLinkAddress,
  linkAddress,
  parseEndpoint,
  parseLinkAddress,
  sameLinkAddress,
} from './endpoint.js';
export { ExternalMux, type ExternalMuxOptions, type FloatedPeer } from './external-mux.js';
export { halfSipHash } from './half-siphash.js';
export {
  badLengthError,
  bindError,
  connectError,
  divertedError,
  LinkError,
  type LinkErrorCode,
  resetError,
  systemErrorText,
} from './link-error.js';
export type {
  LinkConnectOptions,
  LinkFactory,
  LinkListener,
  LinkListenOptions,
  LinkOpening,
  ListenWatcher,
  OpenedLink,
  PendingLink,
} from './link-factory.js';
export type {
  ByteStream,
  LinkEnds,
  LinkMaker,
  PacketCarrier,
  PacketFeed,
  PacketLinkEnds,
  Transport,
  TransportSetup,
} from './link-maker.js';
export type { BufferSizes, LinkSocket, Readiness } from './ports.js';
export { UDP_RECEIVE_BUFFER_BYTES, UDP_SEND_BUFFER_BYTES, type UdpLinkOptions } from './udp-link-options.js';
