import { EKM_LABEL_P2P_PEER_ID, EKM_PEER_ID_BYTES, findDataCipher, P2P_PEER_ID_WITHOUT_EKM } from '@openvpnd/keygen';
import type { Log } from '@openvpnd/sans-io';
import {
  IV_PROTO_CC_EXIT_NOTIFY,
  IV_PROTO_DATA_EPOCH,
  IV_PROTO_DATA_V2,
  IV_PROTO_DYN_TLS_CRYPT,
  IV_PROTO_NCP_P2P,
  IV_PROTO_TLS_KEY_EXPORT,
  type PeerInfo,
  peerInfoInteger,
} from '@openvpnd/wire';
import type { ControlSettings } from './control-settings.js';
import type { KeyState, PeerExchange } from './key-state.js';
import { chooseClientCipher, negotiateCipher, negotiateP2pCipher, peerCiphers, peerSupportsNcp } from './ncp.js';
import type { NegotiatedOptions, ProtocolFlag } from './negotiated-options.js';
import { cipherOfOptionsString, namesCompression } from './options-string.js';
import type { PulledOptions } from './pulled-options.js';

/** A client must know protocol-flags to be told of dynamic tls-crypt. */
const FLAGS_AND_DYNAMIC_TLS_CRYPT = IV_PROTO_CC_EXIT_NOTIFY | IV_PROTO_DYN_TLS_CRYPT;

/** And of epoch keys, which P_DATA_V2 alone can carry. */
const FLAGS_AND_EPOCH_KEYS = IV_PROTO_CC_EXIT_NOTIFY | IV_PROTO_DATA_V2 | IV_PROTO_DATA_EPOCH;

const P2P_EPOCH_KEYS = IV_PROTO_DATA_V2 | IV_PROTO_DATA_EPOCH;

/** What an AUTH_FAILED tells a client with which no cipher is shared. */
export const NO_SHARED_CIPHER = 'Data channel cipher negotiation failed (no shared cipher)';

/** The server's decision about a client; undefined: no cipher in common. OpenVPN: multi_client_set_protocol_options(). */
export function negotiateAsServer(
  settings: ControlSettings,
  peer: PeerExchange,
  log: Log,
): NegotiatedOptions | undefined {
  const cipher = serverCipher(settings, peer, log);
  if (cipher === undefined) return undefined;
  const shared = settings.ivProto & peerInfoInteger(peer.peerInfo, 'IV_PROTO');
  return {
    cipher,
    peerId: shared & IV_PROTO_DATA_V2 ? settings.peerId : undefined,
    keyDerivation: shared & IV_PROTO_TLS_KEY_EXPORT ? 'tls-ekm' : 'prf',
    ccExit: (shared & IV_PROTO_CC_EXIT_NOTIFY) !== 0,
    dynamicTlsCrypt: (shared & FLAGS_AND_DYNAMIC_TLS_CRYPT) === FLAGS_AND_DYNAMIC_TLS_CRYPT,
    epochKeys: (shared & FLAGS_AND_EPOCH_KEYS) === FLAGS_AND_EPOCH_KEYS && isAead(cipher),
    ...(settings.compressMigrate && namesCompression(peer.optionsString)
      ? { migratedCompression: peer.peerInfo.get('IV_COMP_STUBv2') === '1' ? 'stub-v2' : 'lzo-stub' }
      : {}),
  };
}

function serverCipher(settings: ControlSettings, peer: PeerExchange, log: Log): string | undefined {
  const { dataCiphers, fallbackCipher } = settings;
  const remoteCipher = cipherOfOptionsString(peer.optionsString);
  const chosen = negotiateCipher(dataCiphers, peer.peerInfo, remoteCipher);
  if (chosen !== undefined) return chosen;
  const announced = peerCiphers(peer.peerInfo);
  if (announced.length === 0 && remoteCipher === undefined && fallbackCipher !== undefined) {
    log.info('ncp.fallback', { cipher: fallbackCipher });
    return fallbackCipher;
  }
  log.error('ncp.no-common-cipher', {
    own: dataCiphers.join(':'),
    theirs: announced.length > 0 ? announced.join(':').slice(0, 256) : remoteCipher?.slice(0, 64),
  });
  return undefined;
}

/** The options that the server's decision adds to a push, in OpenVPN's order. OpenVPN: prepare_push_reply(). */
export function negotiatedPushOptions(
  settings: ControlSettings,
  negotiated: NegotiatedOptions,
  peerInfo: PeerInfo,
): string[] {
  const options: string[] = [];
  if (negotiated.migratedCompression !== undefined) {
    options.push(negotiated.migratedCompression === 'stub-v2' ? 'compress stub-v2' : 'comp-lzo no');
  }
  if (negotiated.peerId !== undefined) options.push(`peer-id ${negotiated.peerId}`);
  if (peerSupportsNcp(peerInfo)) options.push(`cipher ${negotiated.cipher}`);
  const ekm = negotiated.keyDerivation === 'tls-ekm';
  // Only who knows EXIT knows protocol-flags; clients in between get the option of their own.
  if (negotiated.ccExit) {
    options.push(`protocol-flags ${protocolFlags(negotiated).join(' ')}`);
  }
  if (ekm && !negotiated.ccExit) options.push('key-derivation tls-ekm');
  if (peerInfo.has('IV_MTU')) options.push(`tun-mtu ${settings.tunMtu}`);
  return options;
}

/** The flags of `protocol-flags`, in OpenVPN's order. */
export function protocolFlags(negotiated: NegotiatedOptions): readonly ProtocolFlag[] {
  const { ccExit, keyDerivation, dynamicTlsCrypt, epochKeys } = negotiated;
  const flags: ProtocolFlag[] = [];
  if (ccExit) flags.push('cc-exit');
  if (keyDerivation === 'tls-ekm') flags.push('tls-ekm');
  if (dynamicTlsCrypt) flags.push('dyn-tls-crypt');
  if (epochKeys) flags.push('aead-epoch');
  return flags;
}

function isAead(cipher: string): boolean {
  return findDataCipher(cipher)?.kind === 'aead';
}

/** What must have been announced for a flag to be pushed. */
const FLAG_BITS: Readonly<Record<ProtocolFlag, number>> = {
  'cc-exit': IV_PROTO_CC_EXIT_NOTIFY,
  'tls-ekm': IV_PROTO_TLS_KEY_EXPORT,
  'dyn-tls-crypt': IV_PROTO_DYN_TLS_CRYPT,
  'aead-epoch': IV_PROTO_DATA_EPOCH,
};

/** The client's reading of the push; undefined: it cannot be followed, and the log says why. */
export function negotiateAsClient(
  settings: ControlSettings,
  peer: PeerExchange,
  pulled: PulledOptions,
  log: Log,
): NegotiatedOptions | undefined {
  for (const option of pulled.unsupported) log.error('push.unsupported-option', { option });
  if (pulled.unsupported.length > 0) return undefined;
  const needed = [...pulled.protocolFlags, ...(pulled.keyDerivation === 'tls-ekm' ? (['tls-ekm'] as const) : [])];
  for (const flag of needed) {
    // What we have not announced must not be pushed: the server would go ahead with it.
    if ((settings.ivProto & FLAG_BITS[flag]) === 0) {
      log.error('push.unsupported-option', { option: `protocol-flags ${flag}` });
      return undefined;
    }
  }
  const { dataCiphers, fallbackCipher: fallback } = settings;
  const remoteCipher = cipherOfOptionsString(peer.optionsString);
  const choice = chooseClientCipher({ pushed: pulled.cipher, remoteCipher, dataCiphers, fallback });
  if (!choice.ok) {
    log.error(`ncp.${choice.event}`, { cipher: choice.cipher?.slice(0, 64), own: dataCiphers.join(':') });
    return undefined;
  }
  log.info('ncp.chosen', { cipher: choice.cipher, how: choice.how });
  const epochKeys = pulled.protocolFlags.includes('aead-epoch');
  if (epochKeys && (pulled.peerId === undefined || !isAead(choice.cipher))) {
    // There is no such packet format, and the server goes ahead with something.
    log.error('push.unsupported-option', { option: 'protocol-flags aead-epoch without peer-id or an AEAD cipher' });
    return undefined;
  }
  return {
    cipher: choice.cipher,
    peerId: pulled.peerId,
    keyDerivation: pulled.keyDerivation,
    ccExit: pulled.protocolFlags.includes('cc-exit'),
    dynamicTlsCrypt: pulled.protocolFlags.includes('dyn-tls-crypt'),
    epochKeys,
  };
}

/** What two point-to-point peers settle on without a push; undefined: no cipher in common. OpenVPN: p2p_mode_ncp(). */
export function negotiatePointToPoint(
  role: 'client' | 'server',
  settings: ControlSettings,
  keyState: KeyState,
  peer: PeerExchange,
  log: Log,
): NegotiatedOptions | undefined {
  const proto = settings.ivProto & peerInfoInteger(peer.peerInfo, 'IV_PROTO');
  if (!(proto & IV_PROTO_NCP_P2P)) {
    const pulled: PulledOptions = {
      cipher: undefined,
      peerId: undefined,
      keyDerivation: 'prf',
      protocolFlags: [],
      unsupported: [],
    };
    return negotiateAsClient(settings, peer, pulled, log);
  }
  const theirs = peerCiphers(peer.peerInfo);
  const cipher =
    role === 'server'
      ? negotiateP2pCipher(settings.dataCiphers, theirs)
      : negotiateP2pCipher(theirs, settings.dataCiphers);
  if (cipher === undefined) {
    log.error('ncp.no-common-cipher', { own: settings.dataCiphers.join(':'), theirs: theirs.join(':').slice(0, 256) });
    return undefined;
  }
  const ekm = (proto & IV_PROTO_TLS_KEY_EXPORT) !== 0;
  return {
    cipher: settings.dataCiphers.find((own) => own.toUpperCase() === cipher.toUpperCase()) ?? cipher,
    peerId: proto & IV_PROTO_DATA_V2 ? pointToPointPeerId(ekm, keyState) : undefined,
    keyDerivation: ekm ? 'tls-ekm' : 'prf',
    ccExit: (proto & IV_PROTO_CC_EXIT_NOTIFY) !== 0,
    dynamicTlsCrypt: (proto & IV_PROTO_DYN_TLS_CRYPT) !== 0,
    epochKeys: (proto & P2P_EPOCH_KEYS) === P2P_EPOCH_KEYS && isAead(cipher),
  };
}

function pointToPointPeerId(ekm: boolean, keyState: KeyState): number {
  const bytes = ekm ? keyState.exportKeyingMaterial(EKM_LABEL_P2P_PEER_ID, EKM_PEER_ID_BYTES) : undefined;
  return bytes ? ((bytes[0] ?? 0) << 16) | ((bytes[1] ?? 0) << 8) | (bytes[2] ?? 0) : P2P_PEER_ID_WITHOUT_EKM;
}
