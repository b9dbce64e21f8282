import type { Instant, Random } from '@openvpnd/sans-io';
import {
  CONTROL_HEADER_BYTES,
  type ControlPacket,
  emitControlPacket,
  emitEarlyNegotiation,
  isZeroSessionId,
  keyIdOf,
  opcodeOf,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  parseControlPacket,
  parseEarlyNegotiation,
} from '@openvpnd/wire';
import type { ClientKeyMetadata } from './client-key-metadata.js';
import type { ControlWrap, ControlWrapFactory } from './control-wrap.js';
import { DEFAULT_RESET_LIMIT, ResetLimit } from './reset-limit.js';
import { SessionCookies } from './session-cookie.js';
import { carriesWrappedKey } from './tls-crypt-v2.js';

/** Why the first packet of a stranger is not answered. A name for a counter. */
export type StatelessDropReason =
  /** An opcode that does not begin anything, or a key id other than 0. */
  | 'not-initial'
  | 'zero-session-id'
  /** Wrong key, no key, or a changed packet. */
  | 'unauthenticated'
  | 'malformed'
  /** A reset or an answer to ours with message ids that cannot be. */
  | 'message-id'
  /** An answer to a reset that this server did not send to that client, or too long ago. */
  | 'cookie'
  | 'rate-limit'
  /** A tls-crypt-v2 client without early negotiation while --tls-crypt-v2 has `force-cookie`. */
  | 'cookie-unsupported';

/** What becomes of the packet of a stranger. */
export type FirstPacketVerdict =
  /** Send `packet` back to where the packet came from, now and once. Nothing is remembered. */
  | { readonly type: 'reply'; readonly packet: Uint8Array }
  /** The peer has shown that it receives at its address: this is its session. */
  | {
      readonly type: 'accept';
      /** Ours: the cookie. */
      readonly sessionId: Uint8Array;
      readonly peerSessionId: Uint8Array;
      /** It has opened the packet; what it wraps next carries packet id 2. */
      readonly wrap: ControlWrap;
      /** The packet without its wrapping, to be handled by the session. Both sides' message ids go on with 1. */
      readonly packet: Uint8Array;
    }
  /**
   * A tls-crypt-v2 client of 2.5, which cannot show a cookie: begin a session from this packet as over TCP, that is with a
   * fresh wrap and a random session id.
   */
  | { readonly type: 'stateful'; readonly metadata: ClientKeyMetadata }
  /** `detail` says for the log what was wrong with a packet that did not open. */
  | { readonly type: 'drop'; readonly reason: StatelessDropReason; readonly detail?: string };

/** What becomes of the first packet on a connection, which proves by itself that the peer is at its address. */
export type StreamVerdict =
  /** Begin a session from this packet, with a fresh wrap and a random session id. The metadata is that of a tls-crypt-v2 client. */
  | { readonly type: 'stateful'; readonly metadata: ClientKeyMetadata | undefined }
  /** Nothing of ours: nothing better comes behind it. */
  | { readonly type: 'drop'; readonly reason: StatelessDropReason; readonly detail?: string };

/** What a {@link StatelessHandshake} is made with. */
export interface StatelessHandshakeOptions {
  readonly wraps: ControlWrapFactory;
  /** Gives the secret of the cookies and the key of the limit's table. */
  readonly random: Random;
  /** Unix seconds at an instant. */
  readonly unixTime: (now: Instant) => number;
  /** Of --hand-window; 60 by default. */
  readonly handshakeWindowSeconds?: number;
  /** Shared with other handshakes, or of this one alone. */
  readonly resetLimit?: ResetLimit;
  /** Refuse tls-crypt-v2 clients that cannot show a cookie. OpenVPN: --tls-crypt-v2 FILE force-cookie. */
  readonly forceCookie?: boolean;
}

/**
 * How a UDP server meets strangers without keeping anything: it answers a reset with a reset whose session id is a cookie,
 * and makes a session only when the cookie comes back. Ask it about each packet that belongs to no session.
 * OpenVPN 2.6: do_pre_decrypt_check(), session_skip_to_pre_start().
 */
export class StatelessHandshake {
  readonly #wraps: ControlWrapFactory;
  readonly #unixTime: (now: Instant) => number;
  readonly #forceCookie: boolean;
  readonly #cookies: SessionCookies;
  readonly #limit: ResetLimit;

  constructor(options: StatelessHandshakeOptions) {
    const { random, handshakeWindowSeconds = 60 } = options;
    this.#wraps = options.wraps;
    this.#unixTime = options.unixTime;
    this.#forceCookie = options.forceCookie ?? false;
    this.#cookies = new SessionCookies({ random, handshakeWindowSeconds });
    this.#limit = options.resetLimit ?? new ResetLimit(DEFAULT_RESET_LIMIT, random);
  }

  /**
   * Judges a packet that belongs to no session. `bytes` and `address` (the words of a LinkAddress) are borrowed. Total over all inputs.
   *
   * @param standing `peer`: the address is that of a peer, who may have lost its state or may be imitated. The limit of
   *   strangers is not for it: whoever forges its resets must not use up the answers that it needs. The owner may have one of its own.
   */
  handleFirstPacket(
    now: Instant,
    bytes: Uint8Array,
    address: Uint32Array,
    standing: 'stranger' | 'peer' = 'stranger',
  ): FirstPacketVerdict {
    const opcode = opcodeOf(bytes[0] ?? 0);
    if (!isInitial(opcode) || keyIdOf(bytes[0]!) !== 0) return drop('not-initial');
    // The session id stands in clear in every wrapping.
    if (isZeroSessionId(bytes.subarray(1, CONTROL_HEADER_BYTES))) return drop('zero-session-id');
    const isReset = isClientReset(opcode);
    // A fresh wrap has seen nothing, so a repeated packet passes here: there is no state to check it against. Our reset is
    // packet 1 of the session that may follow, so that the session goes on with 2.
    const wrap = this.#wraps.create(this.#unixTime(now), isReset ? 1 : 2);
    const verdict = this.#judge(now, bytes, address, wrap, standing === 'peer' ? undefined : this.#limit);
    if (verdict.type !== 'accept') wrap.close();
    return verdict;
  }

  /**
   * Judges the first packet of a TCP connection: no cookie is asked for, and no limit counted. `bytes` is borrowed. Total over all inputs.
   * OpenVPN begins a session from whatever comes.
   */
  handleFirstOnStream(now: Instant, bytes: Uint8Array): StreamVerdict {
    const opcode = opcodeOf(bytes[0] ?? 0);
    if (!isClientReset(opcode) || keyIdOf(bytes[0]!) !== 0) return refuse('not-initial');
    if (isZeroSessionId(bytes.subarray(1, CONTROL_HEADER_BYTES))) return refuse('zero-session-id');
    const wrap = this.#wraps.create(this.#unixTime(now), 1);
    try {
      const plain = wrap.unwrap(now, bytes);
      if (!plain.ok) return { type: 'drop', reason: 'unauthenticated', detail: plain.reason };
      const parsed = parseControlPacket(plain.value);
      if (!parsed.ok) return refuse('malformed');
      if (carriesWrappedKey(opcode) && !wrap.clientKey) {
        return { type: 'drop', reason: 'not-initial', detail: 'tls-crypt-v2: no server key' };
      }
      return parsed.value.messageId === 0
        ? { type: 'stateful', metadata: wrap.clientKey?.metadata }
        : refuse('message-id');
    } finally {
      wrap.close();
    }
  }

  #judge(
    now: Instant,
    bytes: Uint8Array,
    address: Uint32Array,
    wrap: ControlWrap,
    limit: ResetLimit | undefined,
  ): FirstPacketVerdict {
    const plain = wrap.unwrap(now, bytes);
    if (!plain.ok) return { type: 'drop', reason: 'unauthenticated', detail: plain.reason };
    const parsed = parseControlPacket(plain.value);
    if (!parsed.ok) return drop('malformed');
    const packet = parsed.value;
    // Only tls-crypt-v2 opens these; where it is not used, they are just wrong opcodes.
    if (carriesWrappedKey(packet.opcode) && !wrap.clientKey) {
      return { type: 'drop', reason: 'not-initial', detail: 'tls-crypt-v2: no server key' };
    }
    switch (packet.opcode) {
      case P_CONTROL_HARD_RESET_CLIENT_V2:
      case P_CONTROL_HARD_RESET_CLIENT_V3:
        return this.#handleReset(now, packet, wrap, address, limit);
      default:
        return this.#handleAnswer(now, plain.value, packet, wrap, address, limit);
    }
  }

  #handleReset(
    now: Instant,
    packet: ControlPacket,
    wrap: ControlWrap,
    address: Uint32Array,
    limit: ResetLimit | undefined,
  ): FirstPacketVerdict {
    if (packet.messageId !== 0) return drop('message-id');
    if (!parseEarlyNegotiation(packet.payload).ok) return drop('malformed');
    const { clientKey } = wrap;
    const canShowCookie = clientKey?.earlyNegotiation ?? true;
    if (!canShowCookie && this.#forceCookie) return drop('cookie-unsupported');
    if (limit && !limit.take(now, address)) return drop('rate-limit');
    if (clientKey && !canShowCookie) return { type: 'stateful', metadata: clientKey.metadata };

    const reply = emitControlPacket({
      opcode: P_CONTROL_HARD_RESET_SERVER_V2,
      keyId: 0,
      sessionId: this.#cookies.make(now, address, packet.sessionId),
      acks: [packet.messageId],
      remoteSessionId: packet.sessionId,
      messageId: 0,
      // The client's next packet must bring its key again, since nothing is kept of this one.
      payload: emitEarlyNegotiation({ resendWkc: clientKey !== undefined }),
    });
    return { type: 'reply', packet: wrap.wrap(reply) };
  }

  #handleAnswer(
    now: Instant,
    plain: Uint8Array,
    packet: ControlPacket,
    wrap: ControlWrap,
    address: Uint32Array,
    limit: ResetLimit | undefined,
  ): FirstPacketVerdict {
    const { acks, messageId = 0, sessionId, remoteSessionId } = packet;
    // Without an acknowledgement there is no session id of ours in the packet.
    if (!remoteSessionId) return drop('cookie');
    // A late packet of a former session would carry higher ids.
    if (messageId > 1 || acks.some((id) => id > 1)) return drop('message-id');
    if (!this.#cookies.check(now, address, sessionId, remoteSessionId)) return drop('cookie');
    limit?.giveBack();
    return { type: 'accept', sessionId: remoteSessionId, peerSessionId: sessionId, wrap, packet: plain };
  }
}

function isClientReset(opcode: number): boolean {
  return opcode === P_CONTROL_HARD_RESET_CLIENT_V2 || opcode === P_CONTROL_HARD_RESET_CLIENT_V3;
}

function isInitial(opcode: number): boolean {
  return isClientReset(opcode) || opcode === P_CONTROL_V1 || opcode === P_CONTROL_WKC_V1 || opcode === P_ACK_V1;
}

function drop(reason: StatelessDropReason): FirstPacketVerdict {
  return { type: 'drop', reason };
}

function refuse(reason: StatelessDropReason): StreamVerdict {
  return { type: 'drop', reason };
}
