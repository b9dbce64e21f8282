import { assertNever, type Instant, type Log } from '@openvpnd/sans-io';
import type { ControlMessage } from '@openvpnd/wire';
import { ControlOutcome } from './control-outcome.js';
import { ControlSpeech } from './control-speech.js';
import type { KeyFailure, KeyState } from './key-state.js';
import { SessionAdmission } from './session-admission.js';
import { SessionConnection } from './session-connection.js';
import type { SessionTable } from './session-table.js';
import type { TlsMultiOptions } from './tls-multi-options.js';
import type { KeyReport, TlsSession } from './tls-session.js';

/**
 * What follows from the reports of key states and from the peer's messages: leads them to admission, connection and the end. Works on
 * the sessions of one peer.
 */
export class SessionConduct {
  readonly outcome: ControlOutcome;
  readonly speech: ControlSpeech;
  readonly admission: SessionAdmission;
  readonly connection: SessionConnection;
  readonly #options: TlsMultiOptions;
  readonly #log: Log;
  readonly #table: SessionTable;

  constructor(options: TlsMultiOptions, table: SessionTable, log: Log) {
    this.#options = options;
    this.#table = table;
    this.#log = log;
    const outcome = new ControlOutcome(options.settings.scheduledExitMs, log);
    const speech = new ControlSpeech({
      log,
      outcome,
      absorb: (now, session, report) => this.absorb(now, session, report),
      handleMessage: (now, session, text, message) => this.#handleMessage(now, session, text, message),
    });
    const admission = new SessionAdmission({
      options,
      table,
      outcome,
      speech,
      log,
      admitted: (now, session, keyState) => this.#handleAdmitted(now, session, keyState),
    });
    this.outcome = outcome;
    this.speech = speech;
    this.admission = admission;
    this.connection = new SessionConnection({ options, table, outcome, speech, admission, log });
  }

  close(): void {
    this.outcome.close();
    this.admission.close();
  }

  absorb(now: Instant, session: TlsSession, report: KeyReport): void {
    const { keyState, events } = report;
    this.#retireTrailing(session, 1);
    for (const event of events) {
      if (this.outcome.over) return;
      switch (event.type) {
        case 'send':
          this.outcome.add(event);
          break;
        case 'exchanged':
          this.admission.handleExchanged(now, session, keyState, event.peer);
          break;
        case 'active':
          this.#handleActive(now, session, keyState);
          break;
        case 'record':
          this.speech.handleRecord(now, session, event.bytes);
          break;
        case 'failed':
          this.#handleFailure(session, keyState, event.failure);
          break;
        default:
          assertNever(event);
      }
    }
  }

  #handleAdmitted(now: Instant, session: TlsSession, keyState: KeyState): void {
    // Later keys are made before S_ACTIVE: the peer may use them as soon as it has heard our last packet.
    if (session.negotiated && keyState.keyId !== 0 && !this.connection.makeKeys(session, keyState)) {
      this.#handleFailure(session, keyState, 'tls-error');
      return;
    }
    this.#advance(now, session);
  }

  #handleActive(now: Instant, session: TlsSession, keyState: KeyState): void {
    session.established = keyState;
    if (!keyState.keys && !session.condemned) session.limitConnect(now + this.#options.settings.handWindowMs);
    this.speech.sayWaiting(now, session);
    this.#advance(now, session);
  }

  /** Goes on with a session whose key is S_ACTIVE and whose peer is let in; either may be the later one. */
  #advance(now: Instant, session: TlsSession): void {
    const { primary } = session;
    if (session.condemned || session.established !== primary || !primary.accepted) return;
    if (primary.keyId === 0) {
      if (!session.initiated) this.connection.initiate(now, session, primary);
      return;
    }
    // The peer has the newest key or is about to; nothing comes any more under the oldest.
    if (!primary.keys) return;
    primary.forgetExchange();
    this.#retireTrailing(session, 0);
  }

  #retireTrailing(session: TlsSession, keep: number): void {
    for (const keyState of session.takeTrailing(keep)) this.#table.dataKeys.retire(keyState, this.outcome.actions);
  }

  /** OpenVPN: S_ERROR in tls_multi_process(). */
  #handleFailure(session: TlsSession, keyState: KeyState, failure: KeyFailure): void {
    this.admission.forgetRequests(session);
    if (session === this.#table.newcomer) {
      this.#table.dropNewcomer();
      if (this.#table.empty) this.outcome.lose(failure);
      return;
    }
    if (session !== this.#table.active) return;
    // Whose certificate is no longer good must not go on under an older key.
    if ((failure === 'verification-failed' && session.initiated) || this.#options.role === 'client') {
      this.outcome.lose(failure);
      return;
    }
    const expiresAt = session.lameDuck?.expiresAt;
    this.#table.dataKeys.retire(keyState, this.outcome.actions);
    const keysLeft = this.#table.orphanActive(expiresAt ?? 0, this.outcome.actions);
    // The peer may have begun anew while this session was still hanging.
    if (!keysLeft && !this.#table.newcomer) {
      this.outcome.lose(failure);
      return;
    }
    this.#log.warn('session.lame-duck', { keyId: keyState.keyId });
  }

  #handleMessage(now: Instant, session: TlsSession, text: string, message: ControlMessage): void {
    const { outcome } = this;
    const serves = this.#options.role === 'server' && this.#options.mode === 'p2mp';
    const pulls = this.#options.role === 'client' && this.#options.mode === 'p2mp';
    switch (message.type) {
      case 'PUSH_REQUEST':
        if (serves) this.connection.handlePushRequest(now, session);
        break;
      case 'PUSH_REPLY':
        if (pulls) this.connection.handlePushReply(session, text, message);
        break;
      case 'AUTH_FAILED':
        if (pulls) outcome.finish({ type: 'auth-failed', message });
        break;
      case 'RESTART':
        if (!pulls) break;
        this.#log.warn('control.restart-received', { text: argumentOf(text) });
        outcome.finish({ type: 'restart', message });
        break;
      case 'HALT':
        if (!pulls) break;
        this.#log.warn('control.halt-received', { text: argumentOf(text) });
        outcome.finish({ type: 'exit', reason: 'server-pushed-halt' });
        break;
      case 'EXIT':
        this.#log.info('control.exit-received', {});
        if (!serves) outcome.finish({ type: 'exit', reason: 'remote-exit' });
        else if (session === this.#table.active) outcome.scheduleExit(now, 'remote-exit');
        break;
      case 'AUTH_PENDING':
        if (!pulls) break;
        this.#prolong(session, message.timeoutSeconds);
        outcome.add({ type: 'control-message', message });
        break;
      case 'INFO':
      case 'INFO_PRE':
        if (!pulls) break;
        this.#log.info('control.info-received', { text: argumentOf(text) });
        outcome.add({ type: 'control-message', message });
        break;
      case 'PUSH_UPDATE':
        if (pulls) this.connection.handlePushUpdate(session, text, message);
        break;
      case 'CR_RESPONSE':
        if (this.#options.role !== 'server') break;
        // What it holds may be a password.
        this.#log.info('control.cr-response-received', { characters: message.response.length });
        outcome.add({ type: 'control-message', message });
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
}

/** What follows the keyword of a message, for the log. */
function argumentOf(text: string): string {
  const comma = text.indexOf(',');
  return comma < 0 ? '' : text.slice(comma + 1, comma + 257);
}
