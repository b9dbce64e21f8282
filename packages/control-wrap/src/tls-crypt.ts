import type { Instant, Secret } from '@openvpnd/sans-io';
import { accepted, CONTROL_HEADER_BYTES, LONG_PACKET_ID_BYTES, type Parsed, refused } from '@openvpnd/wire';
import {
  type ControlWrap,
  type ControlWrapFactory,
  DEFAULT_REPLAY_WINDOW,
  type ReplayWindowOptions,
  type TlsRole,
} from './control-wrap.js';
import { checkControlKey, cipherHalf, dynamicTlsCryptKey, hmacHalf } from './key-file.js';
import { PacketIdCounter } from './packet-id-counter.js';
import { ReplayWindow } from './replay-window.js';
import { openSiv, SIV_KEY_BYTES, SIV_TAG_BYTES, type SivKeys, sealSiv } from './siv-frame.js';

/** Bytes that tls-crypt adds to a packet: a long packet id and a tag. */
export const TLS_CRYPT_OVERHEAD_BYTES: number = LONG_PACKET_ID_BYTES + SIV_TAG_BYTES;
/** Opcode, session id and packet id: in clear, under the tag. */
const CLEAR_BYTES = CONTROL_HEADER_BYTES + LONG_PACKET_ID_BYTES;

/** What tls-crypt is made from. */
export interface TlsCryptOptions {
  /** The key file, 256 bytes. Borrowed for as long as the wraps live. */
  readonly key: Secret;
  readonly role: TlsRole;
  readonly replayWindow?: ReplayWindowOptions;
}

/**
 * tls-crypt: control packets encrypted and authenticated with a key that all peers share.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 9 | opcode and session id |
 * | 9 | 8 | long packet id |
 * | 17 | 32 | tag over the 17 bytes and the plain rest |
 * | 49 | … | the rest, encrypted |
 *
 * The TLS server sends with the first slot of the key file, the client with the second. OpenVPN: tls_crypt_wrap(),
 * tls_crypt_unwrap().
 */
export function tlsCryptWraps(options: TlsCryptOptions): ControlWrapFactory {
  const { key, role, replayWindow = DEFAULT_REPLAY_WINDOW } = options;
  const keys = tlsCryptKeys(key, role);
  return {
    name: 'tls-crypt',
    create: (unixSeconds, firstPacketId = 1) =>
      new TlsCryptWrap({ name: 'tls-crypt', key, keys, ownsKey: false, replayWindow, unixSeconds, firstPacketId }),
  };
}

/**
 * The wrap for every renegotiation of a session in which both sides know dynamic tls-crypt, whatever wrapped its first
 * key. It has its own counter and replay window. OpenVPN: tls_session_generate_dynamic_tls_crypt_key().
 *
 * @param options.ekm 256 bytes under the label of dynamic tls-crypt, from the TLS session of key id 0; the caller zeroes them
 * @param options.base the wrap of that session
 */
export function dynamicTlsCryptWrap(options: {
  readonly ekm: Uint8Array;
  readonly base: ControlWrap;
  readonly role: TlsRole;
  readonly unixSeconds: number;
  readonly replayWindow?: ReplayWindowOptions;
}): ControlWrap {
  const { ekm, base, role, unixSeconds, replayWindow = DEFAULT_REPLAY_WINDOW } = options;
  const key = dynamicTlsCryptKey(ekm, base.fileKey);
  const keys = tlsCryptKeys(key, role);
  return new TlsCryptWrap({ name: 'tls-crypt', key, keys, ownsKey: true, replayWindow, unixSeconds, firstPacketId: 1 });
}

/** The keys of both directions. */
export interface TlsCryptKeys {
  readonly send: SivKeys;
  readonly receive: SivKeys;
}

/** Cuts a key file into directions. */
export function tlsCryptKeys(key: Secret, role: TlsRole): TlsCryptKeys {
  checkControlKey(key);
  const slot = (index: 0 | 1): SivKeys => ({
    cipherKey: cipherHalf(key, index, SIV_KEY_BYTES),
    macKey: hmacHalf(key, index, SIV_KEY_BYTES),
  });
  return role === 'server' ? { send: slot(0), receive: slot(1) } : { send: slot(1), receive: slot(0) };
}

/** One session of tls-crypt; tls-crypt-v2 uses it with the client's key. */
export class TlsCryptWrap implements ControlWrap {
  readonly name: 'tls-crypt' | 'tls-crypt-v2';
  readonly overheadBytes: number = TLS_CRYPT_OVERHEAD_BYTES;
  readonly wrappedKeyBytes = 0;
  readonly fileKey: Secret;
  readonly clientKey = undefined;
  readonly #keys: TlsCryptKeys;
  readonly #ownsKey: boolean;
  readonly #counter: PacketIdCounter;
  readonly #replay: ReplayWindow;

  constructor(options: {
    readonly name: 'tls-crypt' | 'tls-crypt-v2';
    readonly key: Secret;
    readonly keys: TlsCryptKeys;
    /** The key is of this session alone and zeroed with it. */
    readonly ownsKey: boolean;
    readonly replayWindow: ReplayWindowOptions;
    readonly unixSeconds: number;
    readonly firstPacketId: number;
  }) {
    this.name = options.name;
    this.fileKey = options.key;
    this.#keys = options.keys;
    this.#ownsKey = options.ownsKey;
    this.#counter = new PacketIdCounter(options.unixSeconds, options.firstPacketId);
    this.#replay = new ReplayWindow(options.replayWindow);
  }

  wrap(packet: Uint8Array): Uint8Array {
    const bytes = new Uint8Array(packet.length + TLS_CRYPT_OVERHEAD_BYTES);
    bytes.set(packet.subarray(0, CONTROL_HEADER_BYTES));
    this.#counter.writeNext(bytes, CONTROL_HEADER_BYTES);
    const header = bytes.subarray(0, CLEAR_BYTES);
    bytes.set(sealSiv(this.#keys.send, header, packet.subarray(CONTROL_HEADER_BYTES)), CLEAR_BYTES);
    return bytes;
  }

  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    if (bytes.length < CLEAR_BYTES + SIV_TAG_BYTES) return refused('tls-crypt: too short');
    const rest = openSiv(this.#keys.receive, bytes.subarray(0, CLEAR_BYTES), bytes.subarray(CLEAR_BYTES));
    if (!rest) return refused('tls-crypt: authentication failed');
    const { id, unixSeconds } = tlsCryptPacketId(bytes);
    if (!this.#replay.test(now, id, unixSeconds)) return refused('tls-crypt: replayed packet id');
    this.#replay.commit(now, id, unixSeconds);
    const packet = new Uint8Array(CONTROL_HEADER_BYTES + rest.length);
    packet.set(bytes.subarray(0, CONTROL_HEADER_BYTES));
    packet.set(rest, CONTROL_HEADER_BYTES);
    return accepted(packet);
  }

  close(): void {
    if (this.#ownsKey) this.fileKey.zero();
  }
}

/** The long packet id of a wrapped packet that is long enough. */
export function tlsCryptPacketId(bytes: Uint8Array): { id: number; unixSeconds: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset + CONTROL_HEADER_BYTES, LONG_PACKET_ID_BYTES);
  return { id: view.getUint32(0), unixSeconds: view.getUint32(4) };
}
