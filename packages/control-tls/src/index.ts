export { ControlTls, type ControlTlsOptions, type ControlTlsState, DEFAULT_MAX_PACKET_BYTES } from './control-tls.js';
export type { ControlTlsAction, ControlTlsDrop } from './control-tls-action.js';
export type { PacketWrap } from './packet-wrap.js';
export type { PeerCertificate, TlsEngine, TlsEngineFactory, TlsEvent } from './ports.js';
