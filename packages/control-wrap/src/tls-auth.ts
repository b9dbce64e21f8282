import { createHmac, timingSafeEqual } from 'node:crypto';
import type { Instant, Secret } from '@openvpnd/sans-io';
import { accepted, CONTROL_HEADER_BYTES, LONG_PACKET_ID_BYTES, type Parsed, refused } from '@openvpnd/wire';
import {
  type ControlWrap,
  type ControlWrapFactory,
  DEFAULT_REPLAY_WINDOW,
  type ReplayWindowOptions,
} from './control-wrap.js';
import { checkControlKey, hmacHalf } from './key-file.js';
import { PacketIdCounter } from './packet-id-counter.js';
import { ReplayWindow } from './replay-window.js';

/**
 * Direction of a tls-auth key: 'normal' (`key-direction 0`), 'inverse' (1), or 'both' when the option gives none, which
 * signs both ways with the first slot.
 */
export type TlsAuthDirection = 'normal' | 'inverse' | 'both';

/** What tls-auth is made from. */
export interface TlsAuthOptions {
  /** The key file, 256 bytes. Borrowed for as long as the wraps live. */
  readonly key: Secret;
  readonly direction: TlsAuthDirection;
  /** As node:crypto names it: the digest of `--auth`, which is not `none` here. */
  readonly digest: string;
  readonly replayWindow?: ReplayWindowOptions;
}

/**
 * tls-auth: a MAC over every control packet, nothing hidden.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 9 | opcode and session id |
 * | 9 | N | HMAC |
 * | 9+N | 8 | long packet id |
 * | 17+N | … | the rest, from the count of acknowledgements on |
 *
 * The MAC covers the packet id, then the first 9 bytes, then the rest. OpenVPN: swap_hmac(), openvpn_encrypt_v1().
 *
 * @throws when the digest is not known
 */
export function tlsAuthWraps(options: TlsAuthOptions): ControlWrapFactory {
  const { key, direction, digest, replayWindow = DEFAULT_REPLAY_WINDOW } = options;
  checkControlKey(key);
  const hmacBytes = createHmac(digest, new Uint8Array(0)).digest().length;
  const sendKey = hmacHalf(key, direction === 'inverse' ? 1 : 0, hmacBytes);
  const receiveKey = hmacHalf(key, direction === 'normal' ? 1 : 0, hmacBytes);
  const material = { key, digest, hmacBytes, sendKey, receiveKey, replayWindow };
  return {
    name: 'tls-auth',
    create: (unixSeconds, firstPacketId = 1) => new TlsAuthWrap(material, unixSeconds, firstPacketId),
  };
}

interface Material {
  readonly key: Secret;
  readonly digest: string;
  readonly hmacBytes: number;
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  readonly replayWindow: ReplayWindowOptions;
}

class TlsAuthWrap implements ControlWrap {
  readonly name = 'tls-auth';
  readonly overheadBytes: number;
  readonly wrappedKeyBytes = 0;
  readonly clientKey = undefined;
  readonly #material: Material;
  readonly #counter: PacketIdCounter;
  readonly #replay: ReplayWindow;

  constructor(material: Material, unixSeconds: number, firstPacketId: number) {
    this.#material = material;
    this.overheadBytes = material.hmacBytes + LONG_PACKET_ID_BYTES;
    this.#counter = new PacketIdCounter(unixSeconds, firstPacketId);
    this.#replay = new ReplayWindow(material.replayWindow);
  }

  get fileKey(): Secret {
    return this.#material.key;
  }

  wrap(packet: Uint8Array): Uint8Array {
    const { hmacBytes, sendKey } = this.#material;
    const bytes = new Uint8Array(packet.length + this.overheadBytes);
    bytes.set(packet.subarray(0, CONTROL_HEADER_BYTES));
    this.#counter.writeNext(bytes, CONTROL_HEADER_BYTES + hmacBytes);
    bytes.set(packet.subarray(CONTROL_HEADER_BYTES), CONTROL_HEADER_BYTES + this.overheadBytes);
    bytes.set(this.#mac(sendKey, bytes), CONTROL_HEADER_BYTES);
    return bytes;
  }

  unwrap(now: Instant, bytes: Uint8Array): Parsed<Uint8Array> {
    const { hmacBytes, receiveKey } = this.#material;
    if (bytes.length < CONTROL_HEADER_BYTES + this.overheadBytes) return refused('tls-auth: too short');
    const mac = bytes.subarray(CONTROL_HEADER_BYTES, CONTROL_HEADER_BYTES + hmacBytes);
    if (!timingSafeEqual(mac, this.#mac(receiveKey, bytes))) return refused('tls-auth: authentication failed');
    const view = new DataView(bytes.buffer, bytes.byteOffset + CONTROL_HEADER_BYTES + hmacBytes, LONG_PACKET_ID_BYTES);
    const id = view.getUint32(0);
    const unixSeconds = view.getUint32(4);
    if (!this.#replay.test(now, id, unixSeconds)) return refused('tls-auth: replayed packet id');
    this.#replay.commit(now, id, unixSeconds);
    const packet = new Uint8Array(bytes.length - this.overheadBytes);
    packet.set(bytes.subarray(0, CONTROL_HEADER_BYTES));
    packet.set(bytes.subarray(CONTROL_HEADER_BYTES + this.overheadBytes), CONTROL_HEADER_BYTES);
    return accepted(packet);
  }

  /** Nothing to zero: the key file belongs to all sessions. */
  close(): void {}

  #mac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    const { digest, hmacBytes } = this.#material;
    const packetId = CONTROL_HEADER_BYTES + hmacBytes;
    return createHmac(digest, key)
      .update(bytes.subarray(packetId, packetId + LONG_PACKET_ID_BYTES))
      .update(bytes.subarray(0, CONTROL_HEADER_BYTES))
      .update(bytes.subarray(packetId + LONG_PACKET_ID_BYTES))
      .digest();
  }
}
