export {
  AuthTokens,
  type AuthTokensOptions,
  isAuthToken,
  parseAuthTokenKey,
  randomAuthTokenKey,
  type TokenSession,
  type TokenState,
  type TokenVerdict,
  tokenSessionText,
} from './auth-token.js';
export type { ControlAction, ExitReason, SessionLostReason } from './control-action.js';
export type { ControlSettings, Credentials, UnixTime, Verdict } from './control-settings.js';
export {
  type CipherLookup,
  type ClientCipherChoice,
  canonicalCipher,
  chooseClientCipher,
  DEFAULT_DATA_CIPHERS,
  expandDefaultCiphers,
  negotiateCipher,
  negotiateP2pCipher,
  normaliseCiphers,
  peerCiphers,
  peerSupportsNcp,
} from './ncp.js';
export type { NegotiatedOptions, ProtocolFlag } from './negotiated-options.js';
export { protocolFlags } from './negotiation.js';
export {
  cipherOfOptionsString,
  compareOptionsStrings,
  expectedOptionsString,
  type OptionsDifference,
  type OptionsStringInput,
  optionsString,
  withCompLzo,
} from './options-string.js';
export { type OwnPeerInfo, ownIvProto, ownPeerInfo } from './own-peer-info.js';
export { type PeerPolicy, remoteCertTls, verifyPeer } from './peer-verification.js';
export { type PulledOptions, readPulledOptions } from './pulled-options.js';
export { TlsMulti } from './tls-multi.js';
export type { AcceptedSession, TlsMultiOptions } from './tls-multi-options.js';
