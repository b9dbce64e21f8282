export type { ControlAction, ExitReason, SessionLostReason } from './control-action.js';
export type { ControlSettings, Credentials, UnixTime, Verdict } from './control-settings.js';
export type { NegotiatedOptions, ProtocolFlag } from './negotiated-options.js';
export { type PeerPolicy, remoteCertTls, verifyPeer } from './peer-verification.js';
export { type PulledOptions, readPulledOptions } from './pulled-options.js';
export { TlsMulti } from './tls-multi.js';
export type { AcceptedSession, TlsMultiOptions } from './tls-multi-options.js';
