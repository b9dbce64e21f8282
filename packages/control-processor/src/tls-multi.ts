import { type Instant, type Log, NEVER, silentLog } from '@openvpnd/sans-io';
import {
  CONTROL_HEADER_BYTES,
  type ControlPacket,
  IV_PROTO_AUTH_PENDING_KW,
  isControlOpcode,
  isHardReset,
  isZeroSessionId,
  opcodeOf,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_SERVER_V2,
  parseControlPacket,
  peerInfoInteger,
  sessionIdHex,
} from '@openvpnd/wire';
import type { ControlAction } from './control-action.js';
import type { Credentials, Verdict } from './control-settings.js';
import type { NegotiatedOptions } from './negotiated-options.js';
import type { PulledOptions } from './pulled-options.js';
import { SessionConduct } from './session-conduct.js';
import { SessionTable } from './session-table.js';
import type { AcceptedSession, TlsMultiOptions } from './tls-multi-options.js';
import { TlsSession, type TlsSessionOptions } from './tls-session.js';

const NOTHING: readonly ControlAction[] = [];
/** Why a newcomer is refused with --single-session. */
const SINGLE_SESSION = 'single session';

/**
 * The control channel of one peer: its active session, an untrusted newcomer that may replace it, and the keys that
 * outlive a session. Sans-io: every input returns the actions that follow from it, in order. After `session-lost`, `exit`,
 * `auth-failed` and `restart` nothing is done any more: close it. OpenVPN: struct tls_multi with TM_ACTIVE, TM_INITIAL and
 * TM_LAME_DUCK.
 */
export class TlsMulti {
  readonly #options: TlsMultiOptions;
  readonly #log: Log;
  readonly #table = new SessionTable();
  readonly #conduct: SessionConduct;
  readonly #renegMs: number;
  #credentials: Credentials | undefined;
  /** A session has come to its keys. */
  #hadSession = false;
  #heardAt: Instant = Number.NEGATIVE_INFINITY;

  constructor(options: TlsMultiOptions) {
    this.#options = options;
    this.#log = options.log ?? silentLog;
    this.#conduct = new SessionConduct(options, this.#table, this.#log);
    this.#credentials = options.settings.credentials;
    this.#renegMs = renegotiationInterval(options);
  }

  /**
   * Begins: a client (and a p2p peer that knows its remote) sends its hard reset. A server that waits for its peer need not
   * be started. Call once.
   */
  start(now: Instant): readonly ControlAction[] {
    return this.#turn(now, () => {
      if (!this.#table.empty) return;
      const session = this.#makeSession(now, { wrap: this.#options.wraps.create(this.#options.unixTime(now)) });
      this.#table.add(session);
      this.#conduct.absorb(now, session, session.start(now));
    });
  }

  /** A control packet as it came from the link, wrapped. Borrowed: not kept. Total over all inputs. */
  handlePacket(now: Instant, packet: Uint8Array): readonly ControlAction[] {
    return this.#turn(now, () => {
      const reason = this.#receive(now, packet);
      if (reason !== undefined) this.#drop(reason);
    });
  }

  /**
   * Server over UDP: the peer has come through the stateless handshake. `packet` is the one that carried the cookie, unwrapped. Makes
   * the first session, or a newcomer that has to authenticate before it replaces the one there is. Takes the wrap of `accepted`.
   */
  handleAccepted(now: Instant, accepted: AcceptedSession, packet: Uint8Array): readonly ControlAction[] {
    if (this.#conduct.outcome.over) accepted.wrap.close();
    return this.#turn(now, () => {
      const parsed = parseControlPacket(packet);
      const refusal = parsed.ok ? this.#refusalOfNewcomer(now, true) : parsed.reason;
      if (!parsed.ok || refusal !== undefined) {
        accepted.wrap.close();
        this.#drop(refusal ?? '');
        return;
      }
      if (!this.#table.empty) this.#log.info('session.incoming', { sessionId: sessionIdHex(accepted.peerSessionId) });
      const session = this.#makeSession(now, {
        wrap: accepted.wrap,
        localSessionId: accepted.sessionId,
        remoteSessionId: accepted.peerSessionId,
        afterStatelessHandshake: true,
      });
      this.#table.add(session);
      this.#deliver(now, session, parsed.value);
    });
  }

  /** Whether there is a session with the id that stands in this packet of the peer. */
  knowsSessionOf(packet: Uint8Array): boolean {
    const sessionId = packet.subarray(1, CONTROL_HEADER_BYTES);
    return this.#table.sessions().some((session) => session.belongsTo(sessionId));
  }

  /** The instant of `nextTimeout` has come. Calling early or late does no harm. */
  handleTimeout(now: Instant): readonly ControlAction[] {
    return this.#turn(now, () => {
      for (const session of this.#table.sessions()) {
        const { primary } = session;
        this.#conduct.absorb(now, session, { keyState: primary, events: primary.handleTimeout(now) });
      }
      this.#table.expire(now, this.#conduct.outcome.actions);
      const { active } = this.#table;
      if (active) this.#handleActiveTimeouts(now, active);
      else if (this.#table.empty) this.#conduct.outcome.lose('keys-expired');
      this.#conduct.outcome.handleTimeout(now);
    });
  }

  #handleActiveTimeouts(now: Instant, active: TlsSession): void {
    if (active.renegotiationDue(now)) this.#renegotiate(now, 'sec');
    if (active.pull.givenUp(now)) {
      this.#log.error('push.no-reply', { seconds: this.#options.settings.handWindowMs / 1000 });
      this.#conduct.outcome.lose('no-push-reply');
    } else if (active.pull.asking) {
      this.#conduct.connection.requestPush(now, active);
    } else {
      this.#conduct.admission.handleConnectTimeout(now, active);
    }
  }

  /** A TLS engine called `wake`. */
  handleWake(now: Instant): readonly ControlAction[] {
    return this.#turn(now, () => {
      for (const session of this.#table.sessions()) {
        const { primary } = session;
        this.#conduct.absorb(now, session, { keyState: primary, events: primary.handleWake(now) });
      }
    });
  }

  /** When `handleTimeout` wants to be called next; NEVER when nothing is waited for. */
  nextTimeout(): Instant {
    if (this.#conduct.outcome.over || this.#table.empty) return NEVER;
    return Math.min(this.#table.nextTimeout(), this.#conduct.outcome.exitAt ?? NEVER);
  }

  /** The answer to a `verify`. One for a request that is gone (or was answered already) is ignored. */
  handleVerdict(now: Instant, requestId: number, verdict: Verdict): readonly ControlAction[] {
    return this.#turn(now, () => this.#conduct.admission.handleVerdict(now, requestId, verdict));
  }

  /**
   * Server, after `push-request`: sends these options (the common ones, then `ifconfig-ipv6`, `ifconfig` …) and behind them
   * those that were negotiated (`peer-id`, `cipher`, `protocol-flags`, `tun-mtu`), and installs the keys. Without effect where the
   * session has its reply.
   *
   * @throws RangeError when an option does not fit into a message: check with MAX_PUSH_OPTION_BYTES of wire.
   */
  sendPushReply(now: Instant, options: readonly string[]): readonly ControlAction[] {
    return this.#turn(now, () => this.#conduct.connection.sendPushReply(now, options));
  }

  /**
   * Server: sends these options as they are to a client that has its own already, in a PUSH_REPLY: a refreshed auth-token. Every version
   * takes that, unlike a PUSH_UPDATE. Without effect before `sendPushReply`.
   *
   * @throws RangeError as `sendPushReply`
   */
  pushMore(now: Instant, options: readonly string[]): readonly ControlAction[] {
    return this.#turn(now, () => this.#conduct.connection.pushMore(now, options));
  }

  /**
   * Server: whether `sendPushUpdate` can reach this client: it was pushed its options, and it has announced that it takes changes of them
   * (IV_PROTO bit 12, OpenVPN 2.7).
   */
  get takesPushUpdate(): boolean {
    return !this.#conduct.outcome.over && this.#conduct.connection.takesPushUpdate;
  }

  /**
   * Server: changes pushed options while the tunnel stands. `messages` are from splitPushUpdate of wire. Nothing when the client does not
   * take them.
   */
  sendPushUpdate(now: Instant, messages: readonly string[]): readonly ControlAction[] {
    if (!this.takesPushUpdate) return NOTHING;
    return this.#turn(now, () => {
      for (const message of messages)
        if (this.#table.active) this.#conduct.speech.say(now, this.#table.active, message);
    });
  }

  /** Client, after the first `pull`: what the server decided, from `readPulledOptions`. Installs the keys. */
  completePull(now: Instant, pulled: PulledOptions): readonly ControlAction[] {
    return this.#turn(now, () => this.#conduct.connection.completePull(now, pulled));
  }

  /**
   * Sends a text on the control channel as soon as it is up: it waits during a renegotiation. At most 64 wait; what comes
   * beyond is dropped.
   *
   * @throws RangeError when the text has control characters
   */
  sendControlMessage(now: Instant, text: string): readonly ControlAction[] {
    return this.#turn(now, () => {
      if (this.#table.active) this.#conduct.speech.say(now, this.#table.active, text);
    });
  }

  /** Starts a renegotiation now, unless one is under way. `reason` is for the log: `bytes`, `packets`, `packet-id`. */
  renegotiate(now: Instant, reason: string): readonly ControlAction[] {
    return this.#turn(now, () => this.#renegotiate(now, reason));
  }

  #renegotiate(now: Instant, reason: string): void {
    const { active } = this.#table;
    if (!active || active.condemned || this.#conduct.outcome.exitAt !== undefined) return;
    const seconds = Math.floor((now - active.primary.establishedAt) / 1000);
    const report = active.softReset(now);
    if (!report) return;
    const limitSeconds = Math.floor(this.#renegMs / 1000);
    this.#log.info('tls.soft-reset', { reason, keyId: report.keyState.keyId, seconds, limitSeconds });
    this.#conduct.absorb(now, active, report);
  }

  /**
   * The data channel has opened the first packet under this key: the peer can use it, so we may. Optional: without it the
   * old key is used a little longer, as OpenVPN does.
   */
  handleKeyInUse(now: Instant, keyId: number): readonly ControlAction[] {
    return this.#turn(now, () => this.#table.dataKeys.markInUse(keyId));
  }

  /** Server: refuses the peer with AUTH_FAILED and ends it after the scheduled exit. Final. */
  authFailed(now: Instant, reason: string | undefined): readonly ControlAction[] {
    return this.#turn(now, () => {
      for (const session of this.#table.sessions()) this.#conduct.admission.condemn(now, session, reason);
    });
  }

  /** Server: `exit` follows after `scheduledExitMs` (for instance behind a RESTART). The first deadline stays. */
  scheduleExit(now: Instant): readonly ControlAction[] {
    return this.#turn(now, () => this.#conduct.outcome.scheduleExit(now, 'delayed-exit'));
  }

  /**
   * Server: a deferred authentication may take that long before the peer is given up. Sends AUTH_PENDING and, if given,
   * the `info` (what follows `INFO_PRE,`).
   */
  authPending(now: Instant, timeoutSeconds: number, info: string | undefined): readonly ControlAction[] {
    return this.#turn(now, () => {
      for (const session of this.#table.sessions()) {
        const { peer } = session.primary;
        if (!peer || session.primary.keys || session.condemned) continue;
        session.extendConnect(now + timeoutSeconds * 1000);
        const keywords = peerInfoInteger(peer.peerInfo, 'IV_PROTO') & IV_PROTO_AUTH_PENDING_KW;
        this.#conduct.speech.say(now, session, keywords ? `AUTH_PENDING,timeout ${timeoutSeconds}` : 'AUTH_PENDING');
        if (info !== undefined) this.#conduct.speech.sayWith(now, session, 'INFO_PRE', info);
      }
    });
  }

  /**
   * --explicit-exit-notify: says EXIT on the control channel when both ends can. Otherwise `handled` is false and the
   * caller has to send OCC_EXIT on the data channel.
   */
  notifyExit(now: Instant): { readonly handled: boolean; readonly actions: readonly ControlAction[] } {
    const { active } = this.#table;
    if (this.#conduct.outcome.over || !active?.negotiated?.ccExit) return { handled: false, actions: NOTHING };
    return { handled: true, actions: this.#turn(now, () => this.#conduct.speech.say(now, active, 'EXIT')) };
  }

  /** What the next key exchange sends as username and password. */
  setCredentials(credentials: Credentials | undefined): void {
    this.#credentials = credentials;
  }

  /** What was negotiated, once it was. */
  get negotiated(): NegotiatedOptions | undefined {
    return this.#table.active?.negotiated;
  }

  /**
   * When a packet of the active session came last. Packets that are dropped do not count, nor does a newcomer that has yet to
   * authenticate: it may be somebody else at the same address.
   */
  get heardAt(): Instant {
    return this.#heardAt;
  }

  /** Whether data can be sent. */
  get connected(): boolean {
    return this.#table.dataKeys.ready;
  }

  /** Frees and zeroes everything; no input does anything afterwards. Idempotent. */
  close(): void {
    this.#conduct.close();
    this.#table.close();
  }

  /** Runs one input and answers what it led to. */
  #turn(now: Instant, input: () => void): readonly ControlAction[] {
    if (this.#conduct.outcome.over) return NOTHING;
    input();
    if (!this.#conduct.outcome.over) this.#table.dataKeys.choose(now, this.#conduct.outcome.actions);
    this.#hadSession ||= this.#table.dataKeys.ready;
    return this.#conduct.outcome.takeActions();
  }

  /** Answers why the packet is dropped, if it is. */
  #receive(now: Instant, bytes: Uint8Array): string | undefined {
    if (bytes.length <= CONTROL_HEADER_BYTES) return 'too short';
    const opcode = opcodeOf(bytes[0] ?? 0);
    if (!isControlOpcode(opcode)) return 'no control opcode';
    const reset = isHardReset(opcode);
    if (reset && (opcode === P_CONTROL_HARD_RESET_SERVER_V2) === (this.#options.role === 'server')) {
      return 'reset of the wrong role';
    }
    const sessionId = bytes.subarray(1, CONTROL_HEADER_BYTES);
    if (isZeroSessionId(sessionId)) return 'no session id';
    const session = this.#sessionOf(sessionId, reset || opcode === P_ACK_V1);
    if (!session) {
      return reset ? this.#receiveNewcomer(now, bytes) : 'unknown session';
    }
    const packet = session.unwrap(now, bytes);
    if (!packet.ok) return packet.reason;
    this.#deliver(now, session, packet.value);
    return undefined;
  }

  /** The session with that id of the peer, or our own that has not heard from its peer yet. */
  #sessionOf(remoteSessionId: Uint8Array, mayBeFirst: boolean): TlsSession | undefined {
    const known = this.#table.sessions().find((session) => session.belongsTo(remoteSessionId));
    if (known) return known;
    const { active } = this.#table;
    return mayBeFirst && active && !active.remoteSessionId ? active : undefined;
  }

  #deliver(now: Instant, session: TlsSession, packet: ControlPacket): void {
    const reports = session.handlePacket(now, packet);
    // Without an id of the peer not even its reset was accepted.
    if (session === this.#table.active && session.remoteSessionId) this.#heardAt = now;
    for (const report of reports) this.#conduct.absorb(now, session, report);
  }

  /**
   * A hard reset with a session id that is new: a peer that has lost its state, or somebody who pretends so. It never touches
   * the active session before it has authenticated.
   */
  #receiveNewcomer(now: Instant, bytes: Uint8Array): string | undefined {
    const { role, mode, wraps, unixTime } = this.#options;
    // A client that pulls has chosen its server; another session of the server's making is of no use to it.
    if (role === 'client' && mode === 'p2mp') return 'second session of the server';
    const refusal = this.#refusalOfNewcomer(now, false);
    if (refusal !== undefined) return refusal;
    const wrap = wraps.create(unixTime(now));
    const plain = wrap.unwrap(now, bytes);
    const packet = plain.ok ? parseControlPacket(plain.value) : plain;
    if (!packet.ok) return packet.reason;
    const { keyId, messageId, sessionId } = packet.value;
    if (keyId !== 0 || messageId !== 0) return 'no first packet';
    this.#log.info('session.incoming', { sessionId: sessionIdHex(sessionId) });
    const session = this.#makeSession(now, { wrap, remoteSessionId: sessionId });
    this.#table.add(session);
    this.#deliver(now, session, packet.value);
    return undefined;
  }

  #refusalOfNewcomer(now: Instant, proven: boolean): string | undefined {
    if (this.#conduct.outcome.exitAt !== undefined) return 'exit is scheduled';
    if (this.#options.settings.singleSession && this.#hadSession) return SINGLE_SESSION;
    return this.#table.admits(now, proven) ? undefined : 'newcomer is busy';
  }

  #makeSession(
    now: Instant,
    parts: Pick<TlsSessionOptions, 'wrap'> &
      Partial<Pick<TlsSessionOptions, 'localSessionId' | 'remoteSessionId' | 'afterStatelessHandshake'>>,
  ): TlsSession {
    const { role, settings, engines, wake, random, unixTime } = this.#options;
    return new TlsSession(now, {
      role,
      settings,
      engines,
      wake,
      random,
      unixTime,
      log: this.#log,
      afterStatelessHandshake: false,
      renegMs: this.#renegMs,
      credentials: () => this.#credentials,
      ...parts,
    });
  }

  #drop(reason: string): void {
    this.#log.debug('session.drop', { reason });
  }
}

/**
 * --reneg-sec with its jitter, drawn once for a peer, so that the clients of a server do not all come back in the same second.
 * OpenVPN: do_init_crypto_tls().
 */
function renegotiationInterval({ role, mode, settings, random }: TlsMultiOptions): number {
  const { renegMs, renegMinMs } = settings;
  const jitters = role === 'server' && mode === 'p2mp';
  const span = renegMinMs === undefined ? (jitters ? renegMs / 10 : 0) : Math.max(0, renegMs - renegMinMs);
  if (renegMs === 0 || span === 0) return renegMs;
  const bytes = new Uint8Array(4);
  random.fill(bytes);
  return renegMs - span * (new DataView(bytes.buffer).getUint32(0) / 2 ** 32);
}
