import { EKM_LABEL_DYNAMIC_TLS_CRYPT, findDataCipher, KEY2_BYTES } from '@openvpnd/keygen';
import { type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import {
  type ControlMessage,
  IV_PROTO_PUSH_UPDATE,
  IV_PROTO_REQUEST_PUSH,
  peerInfoInteger,
  splitPushReply,
} from '@openvpnd/wire';
import type { ControlOutcome } from './control-outcome.js';
import type { ControlSpeech } from './control-speech.js';
import { loggableText } from './control-text-log.js';
import type { KeyState, PeerExchange } from './key-state.js';
import {
  NO_SHARED_CIPHER,
  negotiateAsClient,
  negotiateAsServer,
  negotiatedPushOptions,
  negotiatePointToPoint,
} from './negotiation.js';
import { commonNameOf } from './peer-identity.js';
import type { PulledOptions } from './pulled-options.js';
import type { SessionAdmission } from './session-admission.js';
import type { SessionTable } from './session-table.js';
import type { TlsMultiOptions } from './tls-multi-options.js';
import type { TlsSession } from './tls-session.js';

export interface SessionConnectionOptions {
  readonly options: TlsMultiOptions;
  readonly table: SessionTable;
  readonly outcome: ControlOutcome;
  readonly speech: ControlSpeech;
  readonly admission: SessionAdmission;
  readonly log: Log;
}

/** From a peer that was let in to a tunnel that carries data: negotiation, push and pull, the keys of the data channel. */
export class SessionConnection {
  readonly #parts: SessionConnectionOptions;
  #connectedBefore = false;

  constructor(parts: SessionConnectionOptions) {
    this.#parts = parts;
  }

  /** The first key of a session is S_ACTIVE and its peer let in. */
  initiate(now: Instant, session: TlsSession, primary: KeyState): void {
    const { options, table, outcome, admission, log } = this.#parts;
    const { role, mode, settings } = options;
    const { peer } = primary;
    if (!peer) return;
    session.initiated = true;
    if (session === table.newcomer) {
      log.info('session.takeover', {});
      table.promoteNewcomer(now + settings.tranWindowMs, outcome.actions);
    }
    admission.lockIdentity(session, peer);
    const commonName = commonNameOf(peer.certificates);
    log.info('session.peer-initiated', { commonName });
    const { certificates, peerInfo } = peer;
    const again = this.#connectedBefore;
    outcome.add({ type: 'peer-initiated', commonName, username: session.username, certificates, peerInfo, again });
    if (mode === 'p2p') {
      session.negotiated = negotiatePointToPoint(role, settings, primary, peer, log);
      if (!session.negotiated || !this.#connect(now, session)) outcome.lose('negotiation-failed');
    } else if (role === 'client') {
      this.#beginPull(now, session);
    } else {
      session.negotiated = negotiateAsServer(settings, peer, log);
      if (!session.negotiated) {
        admission.condemn(now, session, NO_SHARED_CIPHER);
        return;
      }
      if (peerInfoInteger(peerInfo, 'IV_PROTO') & IV_PROTO_REQUEST_PUSH) session.push.request();
      this.#offerPush(session, peer);
    }
  }

  #beginPull(now: Instant, session: TlsSession): void {
    // From here on the pull has its own limit.
    session.connectBy = NEVER;
    session.pull.begin(now);
    this.requestPush(now, session);
  }

  /** Client: asks for options when that is due. */
  requestPush(now: Instant, session: TlsSession): void {
    if (session.pull.takeRequest(now)) this.#parts.speech.say(now, session, 'PUSH_REQUEST');
  }

  /** Client: a part of the server's options. */
  handlePushReply(session: TlsSession, text: string, part: Extract<ControlMessage, { type: 'PUSH_REPLY' }>): void {
    const { outcome, log } = this.#parts;
    log.info('push.received', { text: loggableText(text) });
    const joined = session.pull.handleReply(part);
    if (!joined.ok) {
      log.error('push.too-large', { reason: joined.reason });
    } else if (joined.value) {
      outcome.add({ type: 'pull', options: joined.value, first: !session.pulled });
      session.pulled = true;
    }
  }

  /** Client: a part of what the server changes about its options. OpenVPN 2.7: process_incoming_push_update(). */
  handlePushUpdate(session: TlsSession, text: string, part: Extract<ControlMessage, { type: 'PUSH_UPDATE' }>): void {
    const { outcome, log } = this.#parts;
    if (!session.negotiated) {
      log.warn('push.update-too-early', {});
      return;
    }
    log.info('push.received', { text: loggableText(text) });
    const joined = session.updates.handlePart(part);
    if (!joined.ok) log.error('push.too-large', { reason: joined.reason });
    else if (joined.value) outcome.add({ type: 'push-update', options: joined.value });
  }

  /** Client: what the server's options decide. */
  completePull(now: Instant, pulled: PulledOptions): void {
    const { options, table, outcome, log } = this.#parts;
    const session = table.active;
    const peer = session?.primary.peer;
    if (!session?.pulled || !peer || session.negotiated) return;
    session.negotiated = negotiateAsClient(options.settings, peer, pulled, log);
    if (!session.negotiated || !this.#connect(now, session)) outcome.lose('negotiation-failed');
  }

  /** Server: the client asks. */
  handlePushRequest(now: Instant, session: TlsSession): void {
    const { speech, log } = this.#parts;
    const { peer, active } = session.primary;
    if (session.condemned || !active) return;
    if (!session.push.replied) {
      session.push.request();
      if (session.initiated && peer) this.#offerPush(session, peer);
      return;
    }
    const again = session.push.repeat(now);
    if (!again) log.debug('push.already-replied', {});
    for (const message of again ?? []) speech.say(now, session, message);
  }

  /** Server: asks the owner for the options when the client wants them, once. */
  #offerPush(session: TlsSession, peer: PeerExchange): void {
    const { table, outcome } = this.#parts;
    if (session !== table.active || !session.negotiated || session.condemned) return;
    if (session.push.takeOffer()) outcome.add({ type: 'push-request', peerInfo: peer.peerInfo });
  }

  /** Server: options for a client that has been pushed its own already. */
  pushMore(now: Instant, options: readonly string[]): void {
    const { active } = this.#parts.table;
    if (!active?.push.replied || active.condemned) return;
    for (const message of splitPushReply(options)) this.#parts.speech.say(now, active, message);
  }

  /** Server: the owner's options, with the negotiated ones behind them. */
  sendPushReply(now: Instant, options: readonly string[]): void {
    const { table, outcome, speech } = this.#parts;
    const session = table.active;
    const peer = session?.primary.peer;
    if (!session?.negotiated || session.condemned || session.push.replied || !peer) return;
    const negotiated = negotiatedPushOptions(this.#parts.options.settings, session.negotiated, peer.peerInfo);
    const messages = splitPushReply([...options, ...negotiated]);
    // The client may seal packets as soon as it has the reply: the keys must be there before.
    if (!this.#connect(now, session)) {
      outcome.lose('negotiation-failed');
      return;
    }
    session.push.remember(now, messages);
    session.takesUpdates = (peerInfoInteger(peer.peerInfo, 'IV_PROTO') & IV_PROTO_PUSH_UPDATE) !== 0;
    for (const message of messages) speech.say(now, session, message);
    session.primary.forgetExchange();
  }

  /** Server: whether the peer has its options and says that it takes changes of them. */
  get takesPushUpdate(): boolean {
    const { active } = this.#parts.table;
    return active?.takesUpdates === true && !active.condemned;
  }

  /** Makes a session's first keys; false when they cannot be derived. */
  #connect(now: Instant, session: TlsSession): boolean {
    const { table, outcome, log } = this.#parts;
    const { negotiated, primary } = session;
    if (!negotiated) return false;
    outcome.add({ type: 'negotiated', options: negotiated });
    table.retireOrphans(outcome.actions);
    if (!this.makeKeys(session, primary)) return false;
    if (negotiated.dynamicTlsCrypt && !this.#useDynamicTlsCrypt(now, session)) return false;
    log.info('data-channel.options', { cipher: negotiated.cipher, peerId: negotiated.peerId });
    table.dataKeys.choose(now, outcome.actions);
    outcome.add({ type: 'connected', again: this.#connectedBefore });
    this.#connectedBefore = true;
    return true;
  }

  #useDynamicTlsCrypt(now: Instant, session: TlsSession): boolean {
    const ekm = session.primary.exportKeyingMaterial(EKM_LABEL_DYNAMIC_TLS_CRYPT, KEY2_BYTES);
    if (!ekm) {
      this.#parts.log.error('data-channel.key-derivation-failed', { derivation: 'dyn-tls-crypt' });
      return false;
    }
    session.useDynamicTlsCrypt(now, ekm);
    ekm.fill(0);
    return true;
  }

  /** Makes the data channel keys of a key state; false when they cannot be derived. */
  makeKeys(session: TlsSession, keyState: KeyState): boolean {
    const { table, outcome, log } = this.#parts;
    const { negotiated } = session;
    const cipher = negotiated && findDataCipher(negotiated.cipher);
    if (!cipher || !keyState.generateKeys(negotiated.keyDerivation, cipher, session.ids)) {
      log.error('data-channel.key-derivation-failed', { derivation: negotiated?.keyDerivation });
      return false;
    }
    session.connectBy = NEVER;
    table.dataKeys.install(keyState, negotiated, outcome.actions);
    log.debug('data-channel.keys', { keyId: keyState.keyId, derivation: negotiated.keyDerivation });
    return true;
  }
}
