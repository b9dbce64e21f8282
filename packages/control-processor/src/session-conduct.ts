import { EKM_LABEL_DYNAMIC_TLS_CRYPT, findDataCipher, KEY2_BYTES } from '@openvpnd/keygen';
import { assertNever, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import {
  type ControlMessage,
  emitControlMessage,
  extractControlMessages,
  IV_PROTO_REQUEST_PUSH,
  parseControlMessage,
  peerInfoInteger,
  splitPushReply,
  withoutControlCharacters,
} from '@openvpnd/wire';
import type { ControlAction, ExitReason, SessionLostReason } from './control-action.js';
import type { Verdict } from './control-settings.js';
import { loggableText } from './control-text-log.js';
import type { KeyFailure, KeyState, PeerExchange } from './key-state.js';
import {
  NO_SHARED_CIPHER,
  negotiateAsClient,
  negotiateAsServer,
  negotiatedPushOptions,
  negotiatePointToPoint,
} from './negotiation.js';
import { commonNameOf, identityChange, type PeerIdentity, peerIdentity } from './peer-identity.js';
import type { PulledOptions } from './pulled-options.js';
import type { SessionTable } from './session-table.js';
import type { TlsMultiOptions } from './tls-multi-options.js';
import type { KeyReport, TlsSession } from './tls-session.js';

/** Messages that wait for the control channel to be up. Only our own side fills it. */
const MAX_WAITING_MESSAGES = 64;

/** A `verify` that was not answered yet. */
interface OpenRequest {
  readonly session: TlsSession;
  readonly keyState: KeyState;
  readonly peer: PeerExchange;
}

/**
 * What follows from the reports of key states: authentication, negotiation, push, data channel keys, control messages, the
 * end. Works on the sessions of one peer and gathers actions.
 */
export class SessionConduct {
  readonly #options: TlsMultiOptions;
  readonly #log: Log;
  readonly #table: SessionTable;
  readonly #requests = new Map<number, OpenRequest>();
  #requestCount = 0;
  /** Who the peer is, from its first connection on. */
  #identity: PeerIdentity | undefined;
  #connectedBefore = false;
  #exit: { readonly at: Instant; readonly reason: ExitReason } | undefined;
  #over = false;
  #out: ControlAction[] = [];

  constructor(options: TlsMultiOptions, table: SessionTable, log: Log) {
    this.#options = options;
    this.#table = table;
    this.#log = log;
  }

  /** Nothing is done any more: the peer is lost, or its end was told. */
  get over(): boolean {
    return this.#over;
  }

  /** The end is only a matter of time. */
  get exitAt(): Instant | undefined {
    return this.#exit?.at;
  }

  /** The actions gathered so far; the list itself, for those who add to it. */
  get out(): ControlAction[] {
    return this.#out;
  }

  takeActions(): readonly ControlAction[] {
    const actions = this.#out;
    this.#out = [];
    return actions;
  }

  close(): void {
    this.#over = true;
    this.#requests.clear();
  }

  // ---- reports of key states

  absorb(now: Instant, session: TlsSession, report: KeyReport): void {
    const { keyState, events } = report;
    this.#retireTrailing(session, 1);
    for (const event of events) {
      if (this.#over) return;
      switch (event.type) {
        case 'send':
          this.#out.push(event);
          break;
        case 'exchanged':
          this.#handleExchanged(now, session, keyState, event.peer);
          break;
        case 'active':
          this.#handleActive(now, session, keyState);
          break;
        case 'record':
          this.#handleRecord(now, session, event.bytes);
          break;
        case 'failed':
          this.#handleFailure(session, keyState, event.failure);
          break;
        default:
          assertNever(event);
      }
    }
  }

  /** The messages of both ends of the key exchange are known. */
  #handleExchanged(now: Instant, session: TlsSession, keyState: KeyState, peer: PeerExchange): void {
    if (session.condemned) return;
    if (this.#options.role === 'client') {
      this.#accept(now, session, keyState, peer, undefined);
      return;
    }
    // A renegotiation does away with the open request of the key before it.
    this.#forgetRequests(session);
    this.#requestCount += 1;
    this.#requests.set(this.#requestCount, { session, keyState, peer });
    this.#out.push({
      type: 'verify',
      requestId: this.#requestCount,
      certificates: peer.certificates,
      username: peer.username,
      password: peer.password,
      credentialsTooLong: peer.credentialsTooLong,
      peerInfo: peer.peerInfo,
      renegotiation: keyState.keyId !== 0,
    });
  }

  #forgetRequests(session: TlsSession): void {
    for (const [id, request] of this.#requests) if (request.session === session) this.#requests.delete(id);
  }

  handleVerdict(now: Instant, requestId: number, verdict: Verdict): void {
    const request = this.#requests.get(requestId);
    if (!request) return;
    this.#requests.delete(requestId);
    const { session, keyState, peer } = request;
    const current = this.#table.sessions().includes(session) && session.primary === keyState;
    if (!current || session.condemned) return;
    switch (verdict.type) {
      case 'accept':
        this.#accept(now, session, keyState, peer, verdict.username ?? peer.username);
        break;
      case 'reject':
        this.#log.error('auth.refused', { commonName: commonNameOf(peer.certificates) });
        this.condemn(now, session, verdict.reason);
        break;
      default:
        assertNever(verdict);
    }
  }

  /** The peer is let in with this key. */
  #accept(
    now: Instant,
    session: TlsSession,
    keyState: KeyState,
    peer: PeerExchange,
    username: string | undefined,
  ): void {
    const shown = peerIdentity(peer.certificates, username);
    const change = this.#identity && identityChange(this.#identity, shown);
    // A peer that starts afresh may come with a renewed certificate, in the same name.
    if (change && !(change === 'certificateHashes' && keyState.keyId === 0)) {
      this.#refuseIdentity(now, session, change, shown);
      return;
    }
    session.accepted.add(keyState);
    session.username = username;
    // Later keys are made before S_ACTIVE: the peer may use them as soon as it has heard our last packet.
    if (session.negotiated && keyState.keyId !== 0 && !this.#makeKeys(session, keyState)) {
      this.#handleFailure(session, keyState, 'tls-error');
      return;
    }
    this.#advance(now, session);
  }

  #refuseIdentity(now: Instant, session: TlsSession, change: keyof PeerIdentity, shown: PeerIdentity): void {
    const told = change === 'certificateHashes' ? {} : { was: this.#identity?.[change], is: shown[change] };
    this.#log.error('auth.identity-changed', { what: change, ...told });
    if (session === this.#table.newcomer) this.#table.dropNewcomer();
    else if (this.#options.role === 'server') this.condemn(now, session, undefined);
    else this.lose('verification-failed');
  }

  #handleActive(now: Instant, session: TlsSession, keyState: KeyState): void {
    session.established = keyState;
    if (!keyState.keys && !session.condemned) session.limitConnect(now + this.#options.settings.handWindowMs);
    for (const text of session.waiting.splice(0)) this.say(now, session, text);
    this.#advance(now, session);
  }

  /** Goes on with a session whose key is S_ACTIVE and whose peer is let in; either may be the later one. */
  #advance(now: Instant, session: TlsSession): void {
    const { primary } = session;
    if (session.condemned || session.established !== primary || !session.accepted.has(primary)) return;
    if (primary.keyId === 0) {
      if (!session.initiated) this.#initiate(now, session, primary);
      return;
    }
    // The peer has the newest key or is about to; nothing comes any more under the oldest.
    if (primary.keys) this.#retireTrailing(session, 0);
  }

  #retireTrailing(session: TlsSession, keep: number): void {
    for (const keyState of session.takeTrailing(keep)) this.#table.dataKeys.retire(keyState, this.#out);
  }

  #initiate(now: Instant, session: TlsSession, primary: KeyState): void {
    const { role, mode, settings } = this.#options;
    const { peer } = primary;
    if (!peer) return;
    session.initiated = true;
    if (session === this.#table.newcomer) {
      this.#log.info('session.takeover', {});
      this.#table.promoteNewcomer(now + settings.tranWindowMs, this.#out);
    }
    this.#identity = peerIdentity(peer.certificates, session.username);
    const commonName = commonNameOf(peer.certificates);
    this.#log.info('session.peer-initiated', { commonName });
    const { certificates, peerInfo } = peer;
    const again = this.#connectedBefore;
    this.#out.push({ type: 'peer-initiated', commonName, username: session.username, certificates, peerInfo, again });
    if (mode === 'p2p') {
      session.negotiated = negotiatePointToPoint(role, settings, primary, peer, this.#log);
      if (!session.negotiated || !this.#connect(now, session)) this.lose('negotiation-failed');
    } else if (role === 'client') {
      this.#beginPull(now, session);
    } else {
      session.negotiated = negotiateAsServer(settings, peer, this.#log);
      if (!session.negotiated) {
        this.condemn(now, session, NO_SHARED_CIPHER);
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
    if (session.pull.takeRequest(now)) this.say(now, session, 'PUSH_REQUEST');
  }

  /** Server: asks the owner for the options when the client wants them, once. */
  #offerPush(session: TlsSession, peer: PeerExchange): void {
    if (session !== this.#table.active || !session.negotiated || session.condemned) return;
    if (session.push.takeOffer()) this.#out.push({ type: 'push-request', peerInfo: peer.peerInfo });
  }

  sendPushReply(now: Instant, options: readonly string[]): void {
    const session = this.#table.active;
    const peer = session?.primary.peer;
    if (!session?.negotiated || session.condemned) return;
    if (session.push.replied || !peer) {
      for (const message of splitPushReply(options)) this.say(now, session, message);
      return;
    }
    const negotiated = negotiatedPushOptions(this.#options.settings, session.negotiated, peer.peerInfo);
    const messages = splitPushReply([...options, ...negotiated]);
    // The client may seal packets as soon as it has the reply: the keys must be there before.
    if (!this.#connect(now, session)) {
      this.lose('negotiation-failed');
      return;
    }
    session.push.remember(now, messages);
    for (const message of messages) this.say(now, session, message);
  }

  completePull(now: Instant, pulled: PulledOptions): void {
    const session = this.#table.active;
    const peer = session?.primary.peer;
    if (!session?.pulled || !peer || session.negotiated) return;
    session.negotiated = negotiateAsClient(this.#options.settings, peer, pulled, this.#log);
    if (!session.negotiated || !this.#connect(now, session)) this.lose('negotiation-failed');
  }

  /** Makes a session's first keys; false when they cannot be derived. */
  #connect(now: Instant, session: TlsSession): boolean {
    const { negotiated, primary } = session;
    if (!negotiated) return false;
    this.#out.push({ type: 'negotiated', options: negotiated });
    this.#table.retireOrphans(this.#out);
    if (!this.#makeKeys(session, primary)) return false;
    if (negotiated.dynamicTlsCrypt && !this.#useDynamicTlsCrypt(now, session)) return false;
    this.#log.info('data-channel.options', { cipher: negotiated.cipher, peerId: negotiated.peerId });
    this.#table.dataKeys.choose(now, this.#out);
    this.#out.push({ type: 'connected', again: this.#connectedBefore });
    this.#connectedBefore = true;
    return true;
  }

  #useDynamicTlsCrypt(now: Instant, session: TlsSession): boolean {
    const ekm = session.primary.exportKeyingMaterial(EKM_LABEL_DYNAMIC_TLS_CRYPT, KEY2_BYTES);
    if (!ekm) {
      this.#log.error('data-channel.key-derivation-failed', { derivation: 'dyn-tls-crypt' });
      return false;
    }
    session.useDynamicTlsCrypt(now, ekm);
    ekm.fill(0);
    return true;
  }

  #makeKeys(session: TlsSession, keyState: KeyState): boolean {
    const { negotiated } = session;
    const cipher = negotiated && findDataCipher(negotiated.cipher);
    if (!cipher || !keyState.generateKeys(negotiated.keyDerivation, cipher, session.ids)) {
      this.#log.error('data-channel.key-derivation-failed', { derivation: negotiated?.keyDerivation });
      return false;
    }
    session.connectBy = NEVER;
    this.#table.dataKeys.install(keyState, negotiated.peerId, this.#out);
    this.#log.debug('data-channel.keys', { keyId: keyState.keyId, derivation: negotiated.keyDerivation });
    return true;
  }

  /** OpenVPN: S_ERROR in tls_multi_process(). */
  #handleFailure(session: TlsSession, keyState: KeyState, failure: KeyFailure): void {
    this.#forgetRequests(session);
    if (session === this.#table.newcomer) {
      this.#table.dropNewcomer();
      if (this.#table.empty) this.lose(failure);
      return;
    }
    if (session !== this.#table.active) return;
    // Whose certificate is no longer good must not go on under an older key.
    if ((failure === 'verification-failed' && session.initiated) || this.#options.role === 'client') {
      this.lose(failure);
      return;
    }
    const expiresAt = session.lameDuck?.expiresAt;
    this.#table.dataKeys.retire(keyState, this.#out);
    const keysLeft = this.#table.orphanActive(expiresAt ?? 0, this.#out);
    // The peer may have begun anew while this session was still hanging.
    if (!keysLeft && !this.#table.newcomer) {
      this.lose(failure);
      return;
    }
    this.#log.warn('session.lame-duck', { keyId: keyState.keyId });
  }

  // ---- control messages

  /** Sends a message now or, while a key exchange is under way, when it is through. */
  say(now: Instant, session: TlsSession, text: string): void {
    const bytes = emitControlMessage(text);
    if (session.primary.active) {
      this.#log.info('control.sent', {
        text: loggableText(text),
        commonName: commonNameOf(session.primary.peer?.certificates ?? []),
      });
      this.absorb(now, session, { keyState: session.primary, events: session.primary.sendRecord(now, bytes) });
    } else if (session.waiting.length < MAX_WAITING_MESSAGES) {
      session.waiting.push(text);
    } else {
      this.#log.warn('control.queue-full', {});
    }
  }

  #handleRecord(now: Instant, session: TlsSession, bytes: Uint8Array): void {
    const { messages, dropped } = extractControlMessages(bytes);
    if (dropped > 0) this.#log.warn('control.invalid-characters', { dropped });
    for (const text of messages) {
      if (this.#over) return;
      if (text !== '') this.#handleMessage(now, session, text, parseControlMessage(text));
    }
  }

  #handleMessage(now: Instant, session: TlsSession, text: string, message: ControlMessage): void {
    this.#log.debug('control.received', { text: loggableText(text).slice(0, 256) });
    const pulls = this.#options.role === 'client' && this.#options.mode === 'p2mp';
    switch (message.type) {
      case 'PUSH_REQUEST':
        if (this.#options.role === 'server' && this.#options.mode === 'p2mp') this.#handlePushRequest(now, session);
        break;
      case 'PUSH_REPLY':
        if (pulls) this.#handlePushReply(session, text, message);
        break;
      case 'AUTH_FAILED':
        if (pulls) this.#finish({ type: 'auth-failed', message });
        break;
      case 'RESTART':
        if (!pulls) break;
        this.#log.warn('control.restart-received', { text: argumentOf(text) });
        this.#finish({ type: 'restart', message });
        break;
      case 'HALT':
        if (!pulls) break;
        this.#log.warn('control.halt-received', { text: argumentOf(text) });
        this.#finish({ type: 'exit', reason: 'server-pushed-halt' });
        break;
      case 'EXIT':
        this.#log.info('control.exit-received', {});
        if (this.#options.role === 'server' && this.#options.mode === 'p2mp') {
          if (session === this.#table.active) this.scheduleExit(now, 'remote-exit');
        } else {
          this.#finish({ type: 'exit', reason: 'remote-exit' });
        }
        break;
      case 'AUTH_PENDING':
        if (!pulls) break;
        this.#prolong(session, message.timeoutSeconds);
        this.#out.push({ type: 'control-message', message });
        break;
      case 'INFO':
      case 'INFO_PRE':
        if (!pulls) break;
        this.#log.info('control.info-received', { text: argumentOf(text) });
        this.#out.push({ type: 'control-message', message });
        break;
      case 'PUSH_UPDATE':
        if (pulls) this.#out.push({ type: 'control-message', message });
        break;
      case 'CR_RESPONSE':
        if (this.#options.role !== 'server') break;
        // What it holds may be a password.
        this.#log.info('control.cr-response-received', { characters: message.response.length });
        this.#out.push({ type: 'control-message', message });
        break;
      case 'PUSH_INVALID':
      case 'unknown':
        this.#log.warn('control.unknown', { text: text.slice(0, 256) });
        break;
      default:
        assertNever(message);
    }
  }

  #prolong(session: TlsSession, seconds: number | undefined): void {
    const { fromMs, toMs } = session.pull.handlePending(seconds, this.#options.settings.renegMs);
    this.#log.info('control.auth-pending', { fromSeconds: fromMs / 1000, toSeconds: toMs / 1000 });
  }

  #handlePushRequest(now: Instant, session: TlsSession): void {
    const { peer } = session.primary;
    if (session.condemned || !peer) return;
    if (!session.push.replied) {
      session.push.request();
      if (session.initiated) this.#offerPush(session, peer);
      return;
    }
    const again = session.push.repeat(now);
    if (!again) this.#log.debug('push.already-replied', {});
    for (const message of again ?? []) this.say(now, session, message);
  }

  #handlePushReply(session: TlsSession, text: string, part: Extract<ControlMessage, { type: 'PUSH_REPLY' }>): void {
    this.#log.info('push.received', { text: loggableText(text) });
    const joined = session.pull.handleReply(part);
    if (!joined.ok) {
      this.#log.error('push.too-large', { reason: joined.reason });
    } else if (joined.value) {
      this.#out.push({ type: 'pull', options: joined.value, first: !session.pulled });
      session.pulled = true;
    }
  }

  // ---- ends

  /** Refuses a peer: AUTH_FAILED, then the scheduled exit. A newcomer takes only itself along. */
  condemn(now: Instant, session: TlsSession, reason: string | undefined): void {
    if (session.condemned) return;
    session.condemned = true;
    this.#forgetRequests(session);
    this.say(now, session, reason === undefined ? 'AUTH_FAILED' : `AUTH_FAILED,${withoutControlCharacters(reason)}`);
    const newcomer = session === this.#table.newcomer;
    session.connectBy = newcomer ? now + this.#options.settings.scheduledExitMs : NEVER;
    if (!newcomer) this.scheduleExit(now, 'auth-failed');
  }

  /** The first deadline stays, whatever the peer does. OpenVPN: schedule_exit(). */
  scheduleExit(now: Instant, reason: ExitReason): void {
    if (this.#exit) return;
    this.#exit = { at: now + this.#options.settings.scheduledExitMs, reason };
    this.#log.info('session.exit-scheduled', { seconds: this.#options.settings.scheduledExitMs / 1000, reason });
  }

  handleExitTimeout(now: Instant): void {
    if (this.#exit && now >= this.#exit.at) this.#finish({ type: 'exit', reason: this.#exit.reason });
  }

  /** The peer has a control channel and was not let in in time: nobody has decided. */
  handleConnectTimeout(now: Instant, session: TlsSession): void {
    if (now < session.connectBy || session.condemned) return;
    this.#log.error('session.not-connected', {});
    // Undecided is no.
    if (session.primary.keyId > 0) this.condemn(now, session, undefined);
    else this.lose('not-connected');
  }

  lose(reason: SessionLostReason): void {
    this.#finish({ type: 'session-lost', reason });
  }

  #finish(action: ControlAction): void {
    if (this.#over) return;
    this.#over = true;
    this.#out.push(action);
  }
}

/** What follows the keyword of a message, for the log. */
function argumentOf(text: string): string {
  const comma = text.indexOf(',');
  return comma < 0 ? '' : text.slice(comma + 1, comma + 257);
}
