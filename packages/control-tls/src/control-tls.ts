import { MEASURED_TIMING, type Outgoing, ReliableChannel, type RetransmitTiming } from '@openvpnd/reliability';
import { type Instant, type Log, NEVER, silentLog } from '@openvpnd/sans-io';
import {
  type ControlPacket,
  controlPacketOverhead,
  emitControlPacket,
  isHardReset,
  MAX_ACKS,
  MAX_PIGGYBACKED_ACKS,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  parseEarlyNegotiation,
  sessionIdsEqual,
} from '@openvpnd/wire';
import { ByteQueue } from './byte-queue.js';
import type { ControlTlsAction, ControlTlsDrop } from './control-tls-action.js';
import type { PacketWrap } from './packet-wrap.js';
import type { TlsEngine, TlsEvent } from './ports.js';

/** Largest control packet by default, with IP and UDP header. OpenVPN: --max-packet-size. */
export const DEFAULT_MAX_PACKET_BYTES = 1250;
/** IPv6 and UDP header, reserved on every carrier: OpenVPN counts them on TCP as well. */
const CARRIER_BYTES = 48;
/** However little `maxPacketBytes` leaves, a message carries this much, or a handshake would never end. */
const MIN_PAYLOAD_BYTES = 16;
/** Bytes of the peer that TLS may hold without telling anything. A handshake larger than this is an attack. */
const MAX_UNPARSED_BYTES = 64 * 1024;
/** Bytes for the peer that may wait for its acknowledgements. OpenVPN's largest flights are a tenth of it. */
const MAX_UNSENT_BYTES = 256 * 1024;

/** What a {@link ControlTls} is made with. */
export interface ControlTlsOptions {
  /** Who is TLS client: fixed for a session, whoever starts a renegotiation. */
  readonly role: 'client' | 'server';
  /** 0 … 7. */
  readonly keyId: number;
  /** Our session id, 8 bytes, not zero. */
  readonly localSessionId: Uint8Array;
  /** The peer's, where it is known already: after a stateless handshake, or in a renegotiation. */
  readonly remoteSessionId?: Uint8Array;
  readonly wrap: PacketWrap;
  /** Freshly made for this key state, and closed by {@link ControlTls.close}. */
  readonly engine: TlsEngine;
  /** Our first packet, message id 0: a hard or soft reset. Undefined: it has left already (stateless handshake). */
  readonly startOpcode?: number;
  /** Payload of a hard reset, see emitEarlyNegotiation(); default empty. */
  readonly startPayload?: Uint8Array;
  /** Length of our wrapped client key (client with tls-crypt-v2): the first message repeats it if the server asks so. */
  readonly wrappedClientKeyBytes?: number;
  /** 154 … 2048, IP and UDP header included; default {@link DEFAULT_MAX_PACKET_BYTES}. */
  readonly maxPacketBytes?: number;
  /** Default MEASURED_TIMING of @openvpnd/reliability. */
  readonly timing?: RetransmitTiming;
  /** Default 0; 1 after a stateless handshake. */
  readonly nextSendId?: number;
  readonly nextReceiveId?: number;
  readonly log?: Log;
}

/**
 * Where a key state stands, up to the point where the control processor goes on by itself. OpenVPN: struct key_state.
 * `S_ERROR`: it failed and is only good for closing.
 */
export type ControlTlsState = 'S_INITIAL' | 'S_PRE_START' | 'S_START' | 'S_ERROR';

interface Message {
  readonly opcode: number;
  readonly payload: Uint8Array;
}

/**
 * The control channel of one key state: TLS inside reliable messages inside wrapped packets. It takes packets that were
 * unwrapped and routed to it, and gives actions back; the engine may work on between calls and wake the owner.
 *
 * OpenVPN: tls_process() below key method 2, write_control_auth(), the end of tls_pre_decrypt().
 */
export class ControlTls {
  readonly keyId: number;
  /** Packets dropped so far, by reason. */
  readonly drops: Readonly<Record<ControlTlsDrop, number>>;
  readonly #role: 'client' | 'server';
  readonly #localSessionId: Uint8Array;
  readonly #wrap: PacketWrap;
  readonly #engine: TlsEngine;
  readonly #options: ControlTlsOptions;
  readonly #channel: ReliableChannel<Message>;
  readonly #log: Log;
  readonly #unsent = new ByteQueue();
  #remoteSessionId: Uint8Array | undefined;
  #state: ControlTlsState = 'S_INITIAL';
  #resetTaken: boolean;
  #burst = false;
  #secure = false;
  #ended = false;
  #closed = false;
  #tlsSpoke = false;
  #repeatClientKey = false;
  #unparsedBytes = 0;
  #failure: Extract<TlsEvent, { type: 'failed' }> | undefined;

  constructor(options: ControlTlsOptions) {
    this.#options = options;
    this.#role = options.role;
    this.keyId = options.keyId;
    this.#localSessionId = options.localSessionId.slice();
    this.#remoteSessionId = options.remoteSessionId?.slice();
    this.#wrap = options.wrap;
    this.#engine = options.engine;
    this.#log = options.log ?? silentLog;
    this.#resetTaken = (options.nextReceiveId ?? 0) > 0;
    this.drops = {
      'key-id': 0,
      'session-id': 0,
      'ack-session-id': 0,
      direction: 0,
      'reset-message-id': 0,
      'out-of-window': 0,
    };
    this.#channel = new ReliableChannel<Message>({
      timing: options.timing ?? MEASURED_TIMING,
      nextSendId: options.nextSendId ?? 0,
      nextReceiveId: options.nextReceiveId ?? 0,
      log: this.#log,
    });
  }

  get state(): ControlTlsState {
    return this.#state;
  }

  /** Whether TLS is up and {@link sendMessage} allowed. */
  get secure(): boolean {
    return this.#secure;
  }

  /** The peer's session id as soon as it is known. */
  get remoteSessionId(): Uint8Array | undefined {
    return this.#remoteSessionId;
  }

  /** Sends our reset unprompted. The side that was addressed first need not call it: its first packet starts it. */
  start(now: Instant): readonly ControlTlsAction[] {
    this.#begin(now);
    return this.#advance(now);
  }

  /** A control packet, unwrapped, from the right address. Its arrays are kept. */
  handlePacket(now: Instant, packet: ControlPacket): readonly ControlTlsAction[] {
    if (this.#state === 'S_ERROR' || this.#closed) {
      return [];
    }
    const drop = this.#reasonToDrop(packet);
    if (drop !== undefined) {
      this.#drop(drop, packet);
      return [];
    }
    this.#begin(now);
    this.#channel.handleAcks(now, packet.acks);
    this.#learnPeer(now, packet);
    if (packet.messageId !== undefined) {
      const message = { opcode: packet.opcode, payload: packet.payload };
      if (this.#channel.handleMessage(now, packet.messageId, message) === 'out-of-window') {
        this.#drop('out-of-window', packet);
      }
    }
    return this.#advance(now);
  }

  /** Retransmits what is due. */
  handleTimeout(now: Instant): readonly ControlTlsAction[] {
    return this.#advance(now);
  }

  /** The engine called its wake. */
  handleWake(now: Instant): readonly ControlTlsAction[] {
    return this.#advance(now);
  }

  /**
   * Sends `bytes` as one TLS record: 1 … 16384 bytes, copied. Ignored once the peer has ended the session.
   *
   * @throws TypeError before 'secure'.
   */
  sendMessage(now: Instant, bytes: Uint8Array): readonly ControlTlsAction[] {
    if (this.#state === 'S_ERROR' || this.#ended || this.#closed) {
      return [];
    }
    if (!this.#secure) {
      throw new TypeError('no message can be sent before TLS is up');
    }
    this.#engine.writePlaintext(bytes);
    return this.#advance(now);
  }

  /** Whether the peer has acknowledged everything, the last {@link sendMessage} included. OpenVPN: FULL_SYNC. */
  allAcked(): boolean {
    return this.#channel.allAcked() && this.#unsent.length === 0 && !this.#engine.plaintextPending();
  }

  /** See {@link TlsEngine.exportKeyingMaterial}. */
  exportKeyingMaterial(label: string, length: number): Uint8Array {
    return this.#engine.exportKeyingMaterial(label, length);
  }

  /** When {@link handleTimeout} has something to do. */
  nextTimeout(): Instant {
    return this.#state === 'S_ERROR' ? NEVER : this.#channel.nextTimeout();
  }

  /** Idempotent. Closes the engine and lets go of everything; nothing is sent any more. */
  close(): void {
    this.#closed = true;
    this.#engine.close();
    this.#channel.clear();
    this.#unsent.clear();
  }

  #reasonToDrop(packet: ControlPacket): ControlTlsDrop | undefined {
    if (packet.keyId !== this.keyId) {
      return 'key-id';
    }
    const { opcode, remoteSessionId } = packet;
    if (isHardReset(opcode) && (opcode === P_CONTROL_HARD_RESET_SERVER_V2) !== (this.#role === 'client')) {
      return 'direction';
    }
    if (opcode === P_CONTROL_WKC_V1 && this.#role === 'client') {
      return 'direction';
    }
    if (remoteSessionId !== undefined && !sessionIdsEqual(remoteSessionId, this.#localSessionId)) {
      return 'ack-session-id';
    }
    if (this.#remoteSessionId === undefined) {
      // A pure ack may overtake the reset. It names our session, which only the peer can know.
      const mayBeFirst = isHardReset(opcode) || (opcode === P_ACK_V1 && remoteSessionId !== undefined);
      if (!mayBeFirst) {
        return 'session-id';
      }
    } else if (!sessionIdsEqual(packet.sessionId, this.#remoteSessionId)) {
      return 'session-id';
    }
    if ((isHardReset(opcode) || opcode === P_CONTROL_SOFT_RESET_V1) && packet.messageId !== 0) {
      return 'reset-message-id';
    }
    return undefined;
  }

  #drop(reason: ControlTlsDrop, packet: ControlPacket): void {
    (this.drops as Record<ControlTlsDrop, number>)[reason] += 1;
    this.#log.debug('control-tls.drop', { reason, opcode: packet.opcode, keyId: packet.keyId });
  }

  /** What was sent before the peer could be heard goes out once more at once. OpenVPN: do_burst of tls_pre_decrypt(). */
  #learnPeer(now: Instant, packet: ControlPacket): void {
    const firstOfPeer = this.#remoteSessionId === undefined && packet.opcode !== P_ACK_V1;
    if (firstOfPeer) {
      this.#remoteSessionId = packet.sessionId;
    }
    if ((firstOfPeer || packet.opcode === P_CONTROL_SOFT_RESET_V1) && !this.#burst) {
      this.#burst = true;
      this.#channel.rescheduleAll(now);
    }
  }

  #begin(now: Instant): void {
    if (this.#state !== 'S_INITIAL') {
      return;
    }
    this.#state = 'S_PRE_START';
    if (this.#role === 'server') {
      this.#engine.start();
    }
    if (this.#options.startOpcode !== undefined) {
      const payload = this.#options.startPayload?.slice() ?? new Uint8Array(0);
      this.#channel.send(now, { opcode: this.#options.startOpcode, payload });
    }
  }

  #advance(now: Instant): readonly ControlTlsAction[] {
    const actions: ControlTlsAction[] = [];
    if (this.#state === 'S_ERROR' || this.#state === 'S_INITIAL' || this.#closed) {
      return actions;
    }
    let progress = true;
    while (progress && this.#failure === undefined) {
      progress = this.#deliver();
      if (this.#state === 'S_PRE_START' && this.#channel.allAcked()) {
        this.#state = 'S_START';
        if (this.#role === 'client') {
          this.#engine.start();
        }
        progress = true;
      }
      progress = this.#drainEngine(actions) || progress;
    }
    this.#flush(now, actions);
    if (this.#failure !== undefined) {
      this.#state = 'S_ERROR';
      this.#channel.clear();
      this.#unsent.clear();
      actions.push(this.#failure);
    }
    return actions;
  }

  /** Hands messages that are in order to TLS; tells whether there were any. */
  #deliver(): boolean {
    let delivered = false;
    // TLS bytes of a server can wait until our own TLS has started: it would not know what to do with them.
    while (this.#failure === undefined && (!this.#resetTaken || this.#state === 'S_START' || this.#role === 'server')) {
      if (this.#unparsedBytes >= MAX_UNPARSED_BYTES) {
        break;
      }
      const message = this.#channel.takeMessage();
      if (message === undefined) {
        break;
      }
      delivered = true;
      this.#handleMessage(message);
    }
    return delivered;
  }

  #handleMessage({ opcode, payload }: Message): void {
    const isReset = isHardReset(opcode) || opcode === P_CONTROL_SOFT_RESET_V1;
    if (!this.#resetTaken && !isReset) {
      this.#fail('the first message of the peer is no reset');
    } else if (isHardReset(opcode)) {
      this.#handleEarlyNegotiation(payload);
    } else if (!isReset && payload.length > 0) {
      this.#unparsedBytes += payload.length;
      this.#engine.writeCiphertext(payload);
    }
    this.#resetTaken = true;
  }

  #handleEarlyNegotiation(payload: Uint8Array): void {
    const parsed = parseEarlyNegotiation(payload);
    if (!parsed.ok) {
      this.#fail(parsed.reason);
    } else if (parsed.value.resendWkc && this.#options.wrappedClientKeyBytes !== undefined) {
      this.#repeatClientKey = true;
    }
  }

  /** Moves what the engine has into `actions` and the send queue; tells whether there was anything. */
  #drainEngine(actions: ControlTlsAction[]): boolean {
    const events = this.#engine.takeEvents();
    for (const event of events) {
      switch (event.type) {
        case 'ciphertext':
          this.#tlsSpoke = true;
          this.#unsent.push(event.bytes);
          break;
        case 'secure':
          this.#secure = true;
          this.#unparsedBytes = 0;
          actions.push(event);
          break;
        case 'plaintext':
          this.#unparsedBytes = 0;
          actions.push(event);
          break;
        case 'closed':
          this.#ended = true;
          actions.push(event);
          break;
        case 'failed':
          this.#failure ??= event;
          break;
      }
    }
    if (!this.#secure && this.#unparsedBytes >= MAX_UNPARSED_BYTES) {
      this.#fail('the TLS handshake of the peer is too large');
    }
    if (this.#unsent.length > MAX_UNSENT_BYTES) {
      this.#fail('too much waits for acknowledgements of the peer');
    }
    return events.length > 0;
  }

  #fail(reason: string): void {
    this.#failure ??= { type: 'failed', reason };
  }

  #flush(now: Instant, actions: ControlTlsAction[]): void {
    while (this.#state === 'S_START' && this.#unsent.length > 0 && this.#channel.canSend()) {
      this.#channel.send(now, this.#nextMessage());
    }
    for (let out = this.#channel.takeOutgoing(now); out !== undefined; out = this.#channel.takeOutgoing(now)) {
      actions.push(this.#sendAction(out));
    }
    while (this.#channel.acksPending() && !this.#acksCanWait()) {
      actions.push(this.#sendAction(undefined));
    }
  }

  #nextMessage(): Message {
    const limit = (this.#options.maxPacketBytes ?? DEFAULT_MAX_PACKET_BYTES) - CARRIER_BYTES - this.#wrap.overheadBytes;
    const room = limit - controlPacketOverhead(P_CONTROL_V1, MAX_PIGGYBACKED_ACKS);
    if (this.#repeatClientKey) {
      // Only the first message carries the key, with as much of the ClientHello as still fits, which may be nothing.
      this.#repeatClientKey = false;
      const besideKey = Math.max(0, room - (this.#options.wrappedClientKeyBytes ?? 0));
      return { opcode: P_CONTROL_WKC_V1, payload: this.#unsent.take(besideKey) };
    }
    return { opcode: P_CONTROL_V1, payload: this.#unsent.take(Math.max(MIN_PAYLOAD_BYTES, room)) };
  }

  /**
   * The ClientHello is about to leave and carries the acks. It matters most where it must be the first packet after the
   * reset: a server that asked for the wrapped client key cannot read a bare ack.
   */
  #acksCanWait(): boolean {
    const helloIsComing = this.#role === 'client' && this.#state === 'S_START' && !this.#tlsSpoke;
    return (helloIsComing || this.#repeatClientKey) && this.#failure === undefined;
  }

  #sendAction(out: Outgoing<Message> | undefined): ControlTlsAction {
    const acks = this.#channel.takeAcks(out === undefined ? this.#maxPureAcks() : MAX_PIGGYBACKED_ACKS);
    const packet = emitControlPacket({
      opcode: out?.message.opcode ?? P_ACK_V1,
      keyId: this.keyId,
      sessionId: this.#localSessionId,
      acks,
      ...(acks.length > 0 && this.#remoteSessionId !== undefined && { remoteSessionId: this.#remoteSessionId }),
      ...(out !== undefined && { messageId: out.id }),
      payload: out?.message.payload ?? new Uint8Array(0),
    });
    return { type: 'send', packet: this.#wrap.wrap(packet) };
  }

  /** SoftEther's server, which knows no wrapping, drops packets with more acks. */
  #maxPureAcks(): number {
    return this.#role === 'client' && this.#wrap.name === 'none' ? MAX_PIGGYBACKED_ACKS : MAX_ACKS;
  }
}
