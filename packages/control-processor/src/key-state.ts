import type { PeerCertificate } from '@openvpnd/control-tls';
import {
  type DataChannelKeys,
  type DataCipher,
  dataChannelKeys,
  deriveKey2ByPrf,
  EKM_LABEL_DATA_KEYS,
  KEY2_BYTES,
  zeroKeys,
} from '@openvpnd/keygen';
import { assertNever, earliest, type Instant, type Log, NEVER, type Random, Secret } from '@openvpnd/sans-io';
import {
  type ControlPacket,
  emitKeyMethod2Client,
  emitKeyMethod2Server,
  type PeerInfo,
  parseKeyMethod2Client,
  parseKeyMethod2Server,
  parsePeerInfo,
} from '@openvpnd/wire';
import type { SessionLostReason } from './control-action.js';
import type { ControlSettings, Credentials } from './control-settings.js';
import type { KeyChannel, KeyChannelAction, TlsSecure } from './key-channel.js';
import { KeySources } from './key-sources.js';
import { compareOptionsStrings, namesCompression, withCompLzo } from './options-string.js';
import { commonNameOf } from './peer-identity.js';
import { verifyPeer } from './peer-verification.js';

/** What the peer told in the key exchange. */
export interface PeerExchange {
  readonly certificates: readonly PeerCertificate[];
  readonly username: string | undefined;
  readonly password: string | undefined;
  readonly credentialsTooLong: boolean;
  readonly peerInfo: PeerInfo;
  readonly optionsString: string;
}

/** Why a key state is in S_ERROR. */
export type KeyFailure = Extract<SessionLostReason, 'handshake-timeout' | 'tls-error' | 'verification-failed'>;

/**
 * Where a key exchange stands. The states below S_START (S_INITIAL, S_PRE_START) are those of control-tls; S_GENERATED_KEYS
 * is S_ACTIVE with data channel keys.
 */
type Phase =
  | { readonly name: 'S_START'; readonly secure: TlsSecure | undefined }
  /** Client: our message is out. Server: so, and the peer's was read before. */
  | { readonly name: 'S_SENT_KEY'; readonly secure: TlsSecure; readonly peer: PeerExchange | undefined }
  /** Client: both messages are exchanged. */
  | { readonly name: 'S_GOT_KEY'; readonly secure: TlsSecure; readonly peer: PeerExchange }
  /** The peer's message until it is not needed any more. */
  | { readonly name: 'S_ACTIVE'; readonly peer: PeerExchange | undefined; readonly establishedAt: Instant }
  | { readonly name: 'S_ERROR'; readonly failure: KeyFailure };

/** What comes out of a key state. */
export type KeyStateEvent =
  | { readonly type: 'send'; readonly packet: Uint8Array }
  /** Both messages of the key exchange are known; not yet S_ACTIVE. */
  | { readonly type: 'exchanged'; readonly peer: PeerExchange }
  /** S_ACTIVE: everything of ours is acknowledged. */
  | { readonly type: 'active'; readonly peer: PeerExchange }
  /** A TLS record of control messages. Only in S_ACTIVE. */
  | { readonly type: 'record'; readonly bytes: Uint8Array }
  | { readonly type: 'failed'; readonly failure: KeyFailure };

/** Bytes that may wait for S_ACTIVE: room for a long push in parts. To drop one of them would be to change the others. */
const MAX_EARLY_BYTES = 64 * 1024;

export interface KeyStateOptions {
  readonly role: 'client' | 'server';
  readonly keyId: number;
  readonly startedAt: Instant;
  /** How long the older key is kept for sending, counted from `startedAt`. */
  readonly deferralMs: number;
  readonly channel: KeyChannel;
  readonly settings: ControlSettings;
  /** What a client sends as username and password. */
  readonly credentials: Credentials | undefined;
  readonly random: Random;
  readonly log: Log;
}

/** One key exchange and the data channel keys that come of it. OpenVPN: struct key_state. */
export class KeyState {
  readonly keyId: number;
  readonly startedAt: Instant;
  /** From then on this key is preferred for sending. OpenVPN: auth_deferred_expire. */
  readonly preferredFrom: Instant;
  readonly #options: KeyStateOptions;
  readonly #channel: KeyChannel;
  /** Both until the keys are made. */
  #own: KeySources | undefined;
  #theirs: KeySources | undefined;
  #phase: Phase = { name: 'S_START', secure: undefined };
  #keys: DataChannelKeys | undefined;
  #earlyRecords: Uint8Array[] = [];
  #earlyBytes = 0;
  #commonName: string | undefined;
  #closed = false;

  constructor(options: KeyStateOptions) {
    this.#options = options;
    this.#channel = options.channel;
    this.keyId = options.keyId;
    this.startedAt = options.startedAt;
    this.preferredFrom = options.startedAt + options.deferralMs;
    this.#own = KeySources.generate(options.random, options.role);
  }

  /** OpenVPN's name of the state. */
  get name(): Phase['name'] | 'S_GENERATED_KEYS' {
    return this.#phase.name === 'S_ACTIVE' && this.#keys ? 'S_GENERATED_KEYS' : this.#phase.name;
  }

  /** S_ACTIVE or beyond. */
  get active(): boolean {
    return this.#phase.name === 'S_ACTIVE';
  }

  /** When S_ACTIVE was reached; NEVER before. */
  get establishedAt(): Instant {
    return this.#phase.name === 'S_ACTIVE' ? this.#phase.establishedAt : NEVER;
  }

  /** What the peer told, once it has. */
  get peer(): PeerExchange | undefined {
    return 'peer' in this.#phase ? this.#phase.peer : undefined;
  }

  /** Whether the owner has let the peer in with this key. */
  accepted = false;

  /** The name in the peer's certificate. */
  get commonName(): string | undefined {
    return this.#commonName;
  }

  /** What the peer told has been used: an idle peer need not cost that much. Only in S_ACTIVE with keys; before, nothing happens. */
  forgetExchange(): void {
    if (this.#phase.name === 'S_ACTIVE' && this.#keys) this.#phase = { ...this.#phase, peer: undefined };
  }

  get keys(): DataChannelKeys | undefined {
    return this.#keys;
  }

  start(now: Instant): KeyStateEvent[] {
    return this.#absorb(now, this.#channel.start(now));
  }

  handlePacket(now: Instant, packet: ControlPacket): KeyStateEvent[] {
    return this.#closed ? [] : this.#absorb(now, this.#channel.handlePacket(now, packet));
  }

  handleWake(now: Instant): KeyStateEvent[] {
    return this.#closed ? [] : this.#absorb(now, this.#channel.handleWake(now));
  }

  handleTimeout(now: Instant): KeyStateEvent[] {
    if (this.#closed) return [];
    if (now >= this.#handshakeDeadline()) {
      this.#options.log.error('tls.handshake-timeout', {
        seconds: this.#options.settings.handWindowMs / 1000,
        keyId: this.keyId,
      });
      return this.#fail('handshake-timeout');
    }
    return this.#absorb(now, this.#channel.handleTimeout(now));
  }

  nextTimeout(): Instant {
    return this.#closed ? NEVER : earliest(this.#handshakeDeadline(), this.#channel.nextTimeout());
  }

  /** Sends one control message. Only in S_ACTIVE. */
  sendRecord(now: Instant, bytes: Uint8Array): KeyStateEvent[] {
    return this.#closed ? [] : this.#absorb(now, this.#channel.sendMessage(now, bytes));
  }

  /**
   * The peer has begun the next renegotiation: it must have been through with this one, so our last packets have arrived
   * though their acknowledgement is lost for good. Without this both ends would wait for each other.
   */
  concludeUnacked(now: Instant): KeyStateEvent[] {
    return this.#activate(now);
  }

  /**
   * Makes the data channel keys, once. False: the derivation is not possible here (no exporter).
   * OpenVPN: tls_session_generate_data_channel_keys().
   */
  generateKeys(
    derivation: 'tls-ekm' | 'prf',
    cipher: DataCipher,
    ids: { readonly local: Uint8Array; readonly remote: Uint8Array },
  ): boolean {
    if (this.#keys) return true;
    const key2 = derivation === 'tls-ekm' ? this.#exportKey2() : this.#prfKey2(ids);
    if (!key2) return false;
    this.#keys = dataChannelKeys(key2, cipher, this.#options.role);
    key2.zero();
    this.#zeroSources();
    return true;
  }

  /** RFC 5705 on this key's TLS session; undefined where the TLS version has none. The caller zeroes it. */
  exportKeyingMaterial(label: string, length: number): Uint8Array | undefined {
    try {
      return this.#channel.exportKeyingMaterial(label, length);
    } catch {
      return undefined;
    }
  }

  /** Ends the control channel and keeps the data channel keys: what a lame duck is. */
  closeChannel(): void {
    this.#closed = true;
    this.#earlyRecords = [];
    this.#zeroSources();
    this.#channel.close();
  }

  /** Frees and zeroes everything. */
  close(): void {
    this.closeChannel();
    if (this.#keys) zeroKeys(this.#keys);
    this.#keys = undefined;
  }

  #ownSources(): KeySources {
    if (this.#own === undefined) throw new TypeError('the keys are made and the sources of them gone');
    return this.#own;
  }

  #zeroSources(): void {
    this.#own?.zero();
    this.#theirs?.zero();
    this.#own = undefined;
    this.#theirs = undefined;
  }

  #handshakeDeadline(): Instant {
    return this.#phase.name === 'S_ACTIVE' || this.#phase.name === 'S_ERROR'
      ? NEVER
      : this.startedAt + this.#options.settings.handWindowMs;
  }

  #absorb(now: Instant, actions: readonly KeyChannelAction[]): KeyStateEvent[] {
    const events: KeyStateEvent[] = [];
    for (const action of actions) {
      if (this.#phase.name === 'S_ERROR' && action.type !== 'send') break;
      switch (action.type) {
        case 'send':
          events.push(action);
          break;
        case 'secure':
          events.push(...this.#handleSecure(now, action));
          break;
        case 'plaintext':
          events.push(...this.#handleRecord(now, action.bytes));
          break;
        case 'closed':
          events.push(...this.#handleClosed());
          break;
        case 'failed':
          if (action.certificate) {
            this.#options.log.error('verify.error', { ...action.certificate });
          }
          this.#options.log.error('tls.failed', { reason: action.reason, keyId: this.keyId });
          events.push(...this.#fail(action.certificate ? 'verification-failed' : 'tls-error'));
          break;
        default:
          assertNever(action);
      }
    }
    if (this.#exchangeComplete() && this.#channel.allAcked()) events.push(...this.#activate(now));
    return events;
  }

  #handleSecure(now: Instant, secure: TlsSecure): KeyStateEvent[] {
    const { role, settings, log } = this.#options;
    // Before anything of ours goes out: the client's message carries the password.
    if (!verifyPeer(settings.peerPolicy, secure.certificates, log)) return this.#fail('verification-failed');
    this.#phase = { name: 'S_START', secure };
    this.#commonName = commonNameOf(secure.certificates);
    if (role === 'server') return [];
    const own = this.#ownSources();
    const message = emitKeyMethod2Client({
      preMaster: own.preMaster.bytes,
      random1: own.random1.bytes,
      random2: own.random2.bytes,
      optionsString: settings.optionsString,
      username: this.#options.credentials?.username,
      password: this.#options.credentials?.password,
      peerInfo: settings.peerInfo,
    });
    this.#phase = { name: 'S_SENT_KEY', secure, peer: undefined };
    const events = this.#absorb(now, this.#channel.sendMessage(now, message));
    message.fill(0);
    return events;
  }

  #handleRecord(now: Instant, bytes: Uint8Array): KeyStateEvent[] {
    const phase = this.#phase;
    switch (phase.name) {
      case 'S_START':
        return phase.secure ? this.#readClientMessage(now, phase.secure, bytes) : [];
      case 'S_SENT_KEY':
        return phase.peer ? this.#keepEarly(bytes) : this.#readServerMessage(phase.secure, bytes);
      case 'S_GOT_KEY':
        return this.#keepEarly(bytes);
      case 'S_ACTIVE':
        return [{ type: 'record', bytes }];
      case 'S_ERROR':
        return [];
      default:
        return assertNever(phase);
    }
  }

  #readClientMessage(now: Instant, secure: TlsSecure, bytes: Uint8Array): KeyStateEvent[] {
    const parsed = parseKeyMethod2Client(bytes);
    bytes.fill(0);
    if (!parsed.ok) return this.#refuseMessage(parsed.reason);
    const message = parsed.value;
    this.#keepSources(message);
    const peer: PeerExchange = {
      certificates: secure.certificates,
      username: message.username,
      password: message.password,
      credentialsTooLong: message.credentialsTooLong,
      peerInfo: parsePeerInfo(message.peerInfo ?? ''),
      optionsString: message.optionsString ?? '',
    };
    const { settings, log } = this.#options;
    const migrate = settings.compressMigrate === true && namesCompression(peer.optionsString);
    if (migrate) log.info('occ.compress-migrate');
    this.#compareOptions(peer, migrate);
    const own = this.#ownSources();
    const answer = emitKeyMethod2Server({
      random1: own.random1.bytes,
      random2: own.random2.bytes,
      optionsString: migrate ? withCompLzo(settings.optionsString) : settings.optionsString,
      peerInfo: settings.peerInfo,
    });
    this.#phase = { name: 'S_SENT_KEY', secure, peer };
    const events: KeyStateEvent[] = [{ type: 'exchanged', peer }];
    events.push(...this.#absorb(now, this.#channel.sendMessage(now, answer)));
    answer.fill(0);
    return events;
  }

  #readServerMessage(secure: TlsSecure, bytes: Uint8Array): KeyStateEvent[] {
    const parsed = parseKeyMethod2Server(bytes);
    bytes.fill(0);
    if (!parsed.ok) return this.#refuseMessage(parsed.reason);
    const message = parsed.value;
    this.#keepSources({ ...message, preMaster: new Uint8Array(0) });
    const peer: PeerExchange = {
      certificates: secure.certificates,
      username: undefined,
      password: undefined,
      credentialsTooLong: false,
      peerInfo: parsePeerInfo(message.peerInfo ?? ''),
      optionsString: message.optionsString ?? '',
    };
    this.#compareOptions(peer);
    this.#phase = { name: 'S_GOT_KEY', secure, peer };
    return [{ type: 'exchanged', peer }];
  }

  #refuseMessage(reason: string): KeyStateEvent[] {
    this.#options.log.error('tls.key-exchange-error', { reason, keyId: this.keyId });
    return this.#fail('tls-error');
  }

  #keepSources(message: { preMaster: Uint8Array; random1: Uint8Array; random2: Uint8Array }): void {
    this.#theirs = new KeySources(message);
    for (const part of [message.preMaster, message.random1, message.random2]) part.fill(0);
  }

  #compareOptions(peer: PeerExchange, migrate = false): void {
    const { settings, log } = this.#options;
    const expected = migrate ? withCompLzo(settings.expectedOptionsString) : settings.expectedOptionsString;
    for (const difference of compareOptionsStrings(expected, peer.optionsString)) {
      log.warn(`occ.${difference.kind}`, { name: difference.name, local: difference.local, remote: difference.remote });
    }
  }

  #keepEarly(bytes: Uint8Array): KeyStateEvent[] {
    this.#earlyBytes += bytes.length;
    if (this.#earlyBytes > MAX_EARLY_BYTES) return this.#refuseMessage('too many messages before S_ACTIVE');
    this.#earlyRecords.push(bytes);
    return [];
  }

  #exchangeComplete(): boolean {
    return this.#phase.name === 'S_GOT_KEY' || (this.#phase.name === 'S_SENT_KEY' && this.#phase.peer !== undefined);
  }

  #activate(now: Instant): KeyStateEvent[] {
    const phase = this.#phase;
    if ((phase.name !== 'S_GOT_KEY' && phase.name !== 'S_SENT_KEY') || !phase.peer) return [];
    const { version, cipher, detail } = phase.secure;
    this.#options.log.info('tls.control-channel', { version, cipher, detail, keyId: this.keyId });
    this.#phase = { name: 'S_ACTIVE', peer: phase.peer, establishedAt: now };
    const events: KeyStateEvent[] = [{ type: 'active', peer: phase.peer }];
    for (const bytes of this.#earlyRecords.splice(0)) events.push({ type: 'record', bytes });
    return events;
  }

  /** A TLS session that ends in order takes nothing from a data channel that is up. */
  #handleClosed(): KeyStateEvent[] {
    this.#options.log.info('tls.closed-by-peer', { keyId: this.keyId });
    return this.active ? [] : this.#fail('tls-error');
  }

  #fail(failure: KeyFailure): KeyStateEvent[] {
    if (this.#phase.name === 'S_ERROR') return [];
    this.#phase = { name: 'S_ERROR', failure };
    this.#options.log.error('tls.handshake-failed', { keyId: this.keyId });
    return [{ type: 'failed', failure }];
  }

  #exportKey2(): Secret | undefined {
    const bytes = this.exportKeyingMaterial(EKM_LABEL_DATA_KEYS, KEY2_BYTES);
    if (!bytes) return undefined;
    const key2 = new Secret(bytes);
    bytes.fill(0);
    return key2;
  }

  #prfKey2(ids: { readonly local: Uint8Array; readonly remote: Uint8Array }): Secret | undefined {
    if (!this.#theirs || !this.#own) return undefined;
    const own = { ...bytesOf(this.#own), sessionId: ids.local };
    const theirs = { ...bytesOf(this.#theirs), sessionId: ids.remote };
    return this.#options.role === 'client'
      ? deriveKey2ByPrf({ client: own, server: theirs })
      : deriveKey2ByPrf({ client: theirs, server: own });
  }
}

function bytesOf(sources: KeySources): { preMaster: Uint8Array; random1: Uint8Array; random2: Uint8Array } {
  return { preMaster: sources.preMaster.bytes, random1: sources.random1.bytes, random2: sources.random2.bytes };
}
