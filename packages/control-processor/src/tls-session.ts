import { ControlTls, type TlsEngineFactory } from '@openvpnd/control-tls';
import { type ControlWrap, dynamicTlsCryptWrap } from '@openvpnd/control-wrap';
import { earliest, type Instant, type Log, NEVER, type Random } from '@openvpnd/sans-io';
import {
  type ControlPacket,
  isZeroSessionId,
  keyIdOf,
  nextKeyId,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  type Parsed,
  PushAssembly,
  parseControlPacket,
  SESSION_ID_BYTES,
  sessionIdHex,
  sessionIdsEqual,
} from '@openvpnd/wire';
import type { ControlSettings, Credentials, UnixTime } from './control-settings.js';
import { KeyState, type KeyStateEvent } from './key-state.js';
import type { NegotiatedOptions } from './negotiated-options.js';
import { PushPull, PushService } from './push-exchange.js';

/** The least time between two renegotiations that a peer may ask for: each costs a TLS handshake. */
const MIN_SOFT_RESET_INTERVAL_MS = 1000;

export interface TlsSessionOptions {
  readonly role: 'client' | 'server';
  readonly settings: ControlSettings;
  readonly engines: TlsEngineFactory;
  readonly wake: () => void;
  readonly random: Random;
  readonly log: Log;
  readonly wrap: ControlWrap;
  /** Ours; drawn at random when absent. */
  readonly localSessionId?: Uint8Array;
  /** The peer's: of the packet that made this session, or undefined where we speak first. */
  readonly remoteSessionId?: Uint8Array;
  readonly unixTime: UnixTime;
  /** Both resets are done: the stateless handshake went before. */
  readonly afterStatelessHandshake: boolean;
  /** --reneg-sec with its jitter; 0: never. */
  readonly renegMs: number;
  readonly credentials: () => Credentials | undefined;
}

/** What a key state had to tell. */
export interface KeyReport {
  readonly keyState: KeyState;
  readonly events: readonly KeyStateEvent[];
}

/** A key state that was replaced and whose key still opens packets. */
export interface LameDuck {
  readonly keyState: KeyState;
  readonly expiresAt: Instant;
}

/**
 * One run of the control protocol with a peer: two session ids and a row of key states, of which the primary negotiates.
 * OpenVPN: struct tls_session.
 */
export class TlsSession {
  readonly localSessionId: Uint8Array;
  readonly createdAt: Instant;
  readonly pull: PushPull;
  readonly push: PushService = new PushService();
  /** Server: it has its options and has announced that it takes changes of them. */
  takesUpdates = false;
  /** Parts of a PUSH_UPDATE. */
  readonly updates: PushAssembly = new PushAssembly();
  /** The key state that was last told to be S_ACTIVE. */
  established: KeyState | undefined;
  /** Control messages that wait for S_ACTIVE. */
  readonly waiting: string[] = [];
  /** The name under which the peer was accepted. */
  username: string | undefined;
  /** `peer-initiated` was told. */
  initiated = false;
  /** The options have been pulled. */
  pulled = false;
  /** What holds for its data channel keys. */
  negotiated: NegotiatedOptions | undefined;
  /** It was refused: AUTH_FAILED is sent or waits for S_ACTIVE, and nothing else is done for it. */
  condemned = false;
  /** When a peer that has a control channel but no keys is given up. */
  connectBy: Instant = NEVER;
  readonly #options: TlsSessionOptions;
  #remoteSessionId: Uint8Array | undefined;
  #channel: ControlTls | undefined;
  /** Of the renegotiations, where both ends know it. */
  #dynamicWrap: ControlWrap | undefined;
  #primary: KeyState;
  #lameDuck: LameDuck | undefined;
  /** Older than the lame duck, oldest first. */
  #trailing: KeyState[] = [];
  #heardAt: Instant;
  #connectNotBefore: Instant = Number.NEGATIVE_INFINITY;

  constructor(now: Instant, options: TlsSessionOptions) {
    this.#options = options;
    this.createdAt = now;
    this.#heardAt = now;
    this.pull = new PushPull(options.settings.handWindowMs);
    this.localSessionId = options.localSessionId?.slice() ?? freshSessionId(options.random);
    this.#remoteSessionId = options.remoteSessionId?.slice();
    this.#primary = this.#makeKeyState(now, 0, this.#resetOpcode(), this.#deferral());
  }

  get primary(): KeyState {
    return this.#primary;
  }

  get lameDuck(): LameDuck | undefined {
    return this.#lameDuck;
  }

  get remoteSessionId(): Uint8Array | undefined {
    return this.#remoteSessionId;
  }

  /** When a packet came last that passed the wrap. */
  get heardAt(): Instant {
    return this.#heardAt;
  }

  belongsTo(remoteSessionId: Uint8Array): boolean {
    return this.#remoteSessionId !== undefined && sessionIdsEqual(this.#remoteSessionId, remoteSessionId);
  }

  /** Bytes from the link → a packet, or why not. */
  unwrap(now: Instant, bytes: Uint8Array): Parsed<ControlPacket> {
    const plain = this.#wrapOf(keyIdOf(bytes[0] ?? 0)).unwrap(now, bytes);
    return plain.ok ? parseControlPacket(plain.value) : plain;
  }

  #wrapOf(keyId: number): ControlWrap {
    return (keyId > 0 && this.#dynamicWrap) || this.#options.wrap;
  }

  /**
   * From the first renegotiation on, packets are wrapped with a key that only the two ends of this session have. Borrows
   * the exported bytes. OpenVPN: tls_session_generate_dynamic_tls_crypt_key().
   */
  useDynamicTlsCrypt(now: Instant, ekm: Uint8Array): void {
    const { role, wrap, unixTime } = this.#options;
    this.#dynamicWrap = dynamicTlsCryptWrap({ ekm, base: wrap, role, unixSeconds: unixTime(now) });
  }

  start(now: Instant): KeyReport {
    return { keyState: this.#primary, events: this.#primary.start(now) };
  }

  /** A packet of this session. */
  handlePacket(now: Instant, packet: ControlPacket): readonly KeyReport[] {
    if (packet.opcode === P_CONTROL_SOFT_RESET_V1 && packet.keyId === nextKeyId(this.#primary.keyId)) {
      return this.#handleSoftReset(now, packet);
    }
    // The primary drops what has another key id: what comes late for an old key is lost, as in OpenVPN.
    const events = this.#primary.handlePacket(now, packet);
    this.#hear(now);
    // control-tls judges from whose reset the session takes the peer's id.
    this.#remoteSessionId ??= this.#channel?.remoteSessionId;
    return [{ keyState: this.#primary, events }];
  }

  #handleSoftReset(now: Instant, packet: ControlPacket): readonly KeyReport[] {
    const { log } = this.#options;
    const old = this.#primary;
    const refuse = (reason: string): void => log.debug('tls.soft-reset-refused', { reason, keyId: packet.keyId });
    // Its keys exist: then both ends have authenticated, and nothing of the first exchange is left open.
    if (!old.keys) {
      refuse('not established');
      // Nothing but an acknowledgement may be left open, which a peer that is that far does not repeat. Its reset it does, and then there are keys.
      return [{ keyState: old, events: old.concludeUnacked(now) }];
    }
    if (now - old.startedAt < MIN_SOFT_RESET_INTERVAL_MS) {
      refuse('too early');
      return [];
    }
    this.#hear(now);
    const concluded = { keyState: old, events: old.concludeUnacked(now) };
    log.info('tls.soft-reset-received', { keyId: packet.keyId, sessionId: sessionIdHex(packet.sessionId) });
    this.#replacePrimary(now);
    return [concluded, { keyState: this.#primary, events: this.#primary.handlePacket(now, packet) }];
  }

  #hear(now: Instant): void {
    this.#heardAt = now;
    this.pull.handleLife(now);
  }

  /** Begins a renegotiation; undefined while one is under way. OpenVPN: key_state_soft_reset(). */
  softReset(now: Instant): KeyReport | undefined {
    if (this.#primary.name !== 'S_GENERATED_KEYS') return undefined;
    this.#replacePrimary(now);
    return this.start(now);
  }

  #replacePrimary(now: Instant): void {
    const old = this.#primary;
    // The lame duck's key stays readable until the new one is made: the peer goes on with it until it hears of this.
    if (this.#lameDuck) this.#trailing.push(this.#lameDuck.keyState);
    old.closeChannel();
    this.#lameDuck = { keyState: old, expiresAt: now + this.#options.settings.tranWindowMs };
    // A peer that renegotiates more often than we would must not find us sending with a key that it has dropped.
    const deferral = Math.min(this.#deferral(), (now - old.startedAt) / 2);
    this.#primary = this.#makeKeyState(now, nextKeyId(old.keyId), P_CONTROL_SOFT_RESET_V1, deferral);
  }

  /** Removes and returns the key states before the lame duck, but for the newest `keep` of them. */
  takeTrailing(keep: number): KeyState[] {
    return this.#trailing.splice(0, this.#trailing.length - keep);
  }

  /** Removes and returns the lame duck whose time is over. */
  takeExpiredLameDuck(now: Instant): KeyState | undefined {
    if (!this.#lameDuck || now < this.#lameDuck.expiresAt) return undefined;
    const { keyState } = this.#lameDuck;
    this.#lameDuck = undefined;
    return keyState;
  }

  /** Gives a peer that has a control channel until then to come to its keys. */
  limitConnect(until: Instant): void {
    this.connectBy = Math.max(until, this.#connectNotBefore);
  }

  /** Gives a peer whose authentication takes its time at least until then. */
  extendConnect(until: Instant): void {
    this.#connectNotBefore = Math.max(this.#connectNotBefore, until);
    if (this.connectBy !== NEVER) this.limitConnect(this.connectBy);
  }

  /** Whether --reneg-sec asks for new keys. */
  renegotiationDue(now: Instant): boolean {
    return now >= this.#renegotiationAt();
  }

  #renegotiationAt(): Instant {
    const { renegMs } = this.#options;
    return renegMs > 0 && this.#primary.name === 'S_GENERATED_KEYS' ? this.#primary.establishedAt + renegMs : NEVER;
  }

  nextTimeout(): Instant {
    let next = earliest(this.#primary.nextTimeout(), this.#renegotiationAt());
    next = earliest(next, earliest(this.pull.nextTimeout(), this.connectBy));
    return this.#lameDuck ? earliest(next, this.#lameDuck.expiresAt) : next;
  }

  /** The ids that go into the key derivation; only after the peer was heard. */
  get ids(): { readonly local: Uint8Array; readonly remote: Uint8Array } {
    if (!this.#remoteSessionId) throw new TypeError('no session id of the peer');
    return { local: this.localSessionId, remote: this.#remoteSessionId };
  }

  /** Frees and zeroes everything but the key states in `kept`, whose keys live on. */
  close(kept: readonly KeyState[] = []): void {
    for (const keyState of this.keyStates()) {
      if (kept.includes(keyState)) keyState.closeChannel();
      else keyState.close();
    }
    this.#options.wrap.close();
    this.#dynamicWrap?.close();
  }

  /** Every key state, newest first. */
  keyStates(): KeyState[] {
    const states = [this.#primary];
    if (this.#lameDuck) states.push(this.#lameDuck.keyState);
    return [...states, ...this.#trailing.toReversed()];
  }

  /** OpenVPN: auth_deferred_expire_window(). */
  #deferral(): number {
    const { settings, renegMs } = this.#options;
    return renegMs > 0 ? Math.min(settings.handWindowMs, renegMs / 2) : settings.handWindowMs;
  }

  #resetOpcode(): number | undefined {
    if (this.#options.afterStatelessHandshake) return undefined;
    if (this.#options.role === 'server') return P_CONTROL_HARD_RESET_SERVER_V2;
    return this.#options.wrap.name === 'tls-crypt-v2' ? P_CONTROL_HARD_RESET_CLIENT_V3 : P_CONTROL_HARD_RESET_CLIENT_V2;
  }

  #makeKeyState(now: Instant, keyId: number, startOpcode: number | undefined, deferralMs: number): KeyState {
    const { role, settings, engines, wake, random, log } = this.#options;
    const wrap = this.#wrapOf(keyId);
    const firstIds = keyId === 0 && this.#options.afterStatelessHandshake ? 1 : 0;
    const channel = new ControlTls({
      role,
      keyId,
      localSessionId: this.localSessionId,
      // The first key state learns it from the packet that made the session, which it has not handled yet.
      ...(this.#remoteSessionId && (keyId > 0 || firstIds > 0) && { remoteSessionId: this.#remoteSessionId }),
      wrap,
      engine: engines.create({ role, wake }),
      ...(startOpcode !== undefined && { startOpcode }),
      ...(keyId === 0 && wrap.wrappedKeyBytes > 0 && { wrappedClientKeyBytes: wrap.wrappedKeyBytes }),
      maxPacketBytes: settings.maxPacketBytes,
      ...(settings.tlsTimeoutMs !== undefined && { timing: retransmitTiming(settings.tlsTimeoutMs) }),
      nextSendId: firstIds,
      nextReceiveId: firstIds,
      log,
    });
    this.#channel = channel;
    return new KeyState({
      role,
      keyId,
      startedAt: now,
      deferralMs,
      channel,
      settings,
      credentials: this.#options.credentials(),
      random,
      log,
    });
  }
}

function freshSessionId(random: Random): Uint8Array {
  const sessionId = new Uint8Array(SESSION_ID_BYTES);
  do random.fill(sessionId);
  while (isZeroSessionId(sessionId));
  return sessionId;
}

/** --tls-timeout sets where the wait begins; the rest stays as it is measured without. */
function retransmitTiming(
  initialTimeoutMs: number,
): NonNullable<ConstructorParameters<typeof ControlTls>[0]['timing']> {
  return {
    initialTimeoutMs,
    minTimeoutMs: 200,
    maxTimeoutMs: Math.max(4000, initialTimeoutMs),
    measureRoundTrip: true,
  };
}
