import { assertNever, type Instant, type Log, NEVER } from '@openvpnd/sans-io';
import type { ControlOutcome } from './control-outcome.js';
import type { Verdict } from './control-settings.js';
import type { ControlSpeech } from './control-speech.js';
import type { KeyState, PeerExchange } from './key-state.js';
import { commonNameOf, identityChange, type PeerIdentity, peerIdentity } from './peer-identity.js';
import type { SessionTable } from './session-table.js';
import type { TlsMultiOptions } from './tls-multi-options.js';
import type { TlsSession } from './tls-session.js';

/** A `verify` that was not answered yet. */
interface OpenRequest {
  readonly session: TlsSession;
  readonly keyState: KeyState;
  readonly peer: PeerExchange;
}

export interface SessionAdmissionOptions {
  readonly options: TlsMultiOptions;
  readonly table: SessionTable;
  readonly outcome: ControlOutcome;
  readonly speech: ControlSpeech;
  readonly log: Log;
  /** The peer is let in with this key. */
  readonly admitted: (now: Instant, session: TlsSession, keyState: KeyState) => void;
}

/**
 * Whether a peer is let in, with each key anew: asks the owner, holds the peer to the identity that it began with, and refuses with
 * AUTH_FAILED.
 */
export class SessionAdmission {
  readonly #parts: SessionAdmissionOptions;
  readonly #requests = new Map<number, OpenRequest>();
  #requestCount = 0;
  /** Who the peer is, from its first connection on. */
  #identity: PeerIdentity | undefined;

  constructor(parts: SessionAdmissionOptions) {
    this.#parts = parts;
  }

  /** The messages of both ends of the key exchange are known. */
  handleExchanged(now: Instant, session: TlsSession, keyState: KeyState, peer: PeerExchange): void {
    if (session.condemned) return;
    if (this.#parts.options.role === 'client') {
      this.#accept(now, session, keyState, peer, undefined);
      return;
    }
    // A renegotiation does away with the open request of the key before it.
    this.forgetRequests(session);
    this.#requestCount += 1;
    this.#requests.set(this.#requestCount, { session, keyState, peer });
    this.#parts.outcome.add({
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

  handleVerdict(now: Instant, requestId: number, verdict: Verdict): void {
    const request = this.#requests.get(requestId);
    if (!request) return;
    this.#requests.delete(requestId);
    const { session, keyState, peer } = request;
    const current = this.#parts.table.sessions().includes(session) && session.primary === keyState;
    if (!current || session.condemned) return;
    switch (verdict.type) {
      case 'accept':
        this.#accept(now, session, keyState, peer, verdict.username ?? peer.username);
        break;
      case 'reject':
        this.#parts.log.error('auth.refused', { commonName: commonNameOf(peer.certificates) });
        this.condemn(now, session, verdict.reason);
        break;
      default:
        assertNever(verdict);
    }
  }

  /** The first key of a session is authenticated: from now on the peer has to stay who it is. */
  lockIdentity(session: TlsSession, peer: PeerExchange): void {
    this.#identity = peerIdentity(peer.certificates, session.username);
  }

  forgetRequests(session: TlsSession): void {
    for (const [id, request] of this.#requests) if (request.session === session) this.#requests.delete(id);
  }

  /** Refuses a peer: AUTH_FAILED, then the scheduled exit. A newcomer takes only itself along. */
  condemn(now: Instant, session: TlsSession, reason: string | undefined): void {
    if (session.condemned) return;
    const { options, table, outcome, speech } = this.#parts;
    session.condemned = true;
    this.forgetRequests(session);
    speech.sayWith(now, session, 'AUTH_FAILED', reason);
    const newcomer = session === table.newcomer;
    session.connectBy = newcomer ? now + options.settings.scheduledExitMs : NEVER;
    if (!newcomer) outcome.scheduleExit(now, 'auth-failed');
  }

  /** The peer has a control channel and was not let in in time: nobody has decided. */
  handleConnectTimeout(now: Instant, session: TlsSession): void {
    if (now < session.connectBy || session.condemned) return;
    this.#parts.log.error('session.not-connected', {});
    // Undecided is no.
    if (session.primary.keyId > 0) this.condemn(now, session, undefined);
    else this.#parts.outcome.lose('not-connected');
  }

  close(): void {
    this.#requests.clear();
  }

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
    keyState.accepted = true;
    session.username = username;
    this.#parts.admitted(now, session, keyState);
  }

  #refuseIdentity(now: Instant, session: TlsSession, change: keyof PeerIdentity, shown: PeerIdentity): void {
    const { options, table, outcome, log } = this.#parts;
    const told = change === 'certificateHashes' ? {} : { was: this.#identity?.[change], is: shown[change] };
    log.error('auth.identity-changed', { what: change, ...told });
    if (session === table.newcomer) table.dropNewcomer();
    else if (options.role === 'server') this.condemn(now, session, undefined);
    else outcome.lose('verification-failed');
  }
}
