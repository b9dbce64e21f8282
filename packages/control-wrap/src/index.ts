export {
  emitTlsCryptV2ClientKey,
  emitTlsCryptV2ServerKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  MAX_WRAPPED_KEY_BYTES,
  parseTlsCryptV2ClientKey,
  parseTlsCryptV2ServerKey,
  SERVER_KEY_BYTES,
  type TlsCryptV2ClientKey,
  type UnwrappedClientKey,
  unwrapClientKey,
  wrapClientKey,
} from './client-key.js';
export { type ClientKeyMetadata, clientKeyIsFresh, MAX_METADATA_BYTES } from './client-key-metadata.js';
export {
  type ControlWrap,
  type ControlWrapFactory,
  type ControlWrapName,
  DEFAULT_REPLAY_WINDOW,
  type ReceivedClientKey,
  type ReplayWindowOptions,
  type TlsRole,
} from './control-wrap.js';
export { CONTROL_KEY_BYTES, dynamicTlsCryptKey } from './key-file.js';
export { plainWrap, plainWraps } from './plain-wrap.js';
export { DEFAULT_RESET_LIMIT, PREFIX_COUNTERS, ResetLimit, type ResetLimitOptions } from './reset-limit.js';
export {
  type FirstPacketVerdict,
  type StatelessDropReason,
  StatelessHandshake,
  type StatelessHandshakeOptions,
  type StreamVerdict,
} from './stateless-handshake.js';
export { type TlsAuthDirection, type TlsAuthOptions, tlsAuthWraps } from './tls-auth.js';
export { dynamicTlsCryptWrap, TLS_CRYPT_OVERHEAD_BYTES, type TlsCryptOptions, tlsCryptWraps } from './tls-crypt.js';
export {
  EARLY_NEGOTIATION_FIRST_ID,
  type TlsCryptV2ServerOptions,
  tlsCryptV2ClientWraps,
  tlsCryptV2ServerWraps,
} from './tls-crypt-v2.js';
