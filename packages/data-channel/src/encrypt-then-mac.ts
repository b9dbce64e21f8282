import { createCipheriv, createDecipheriv, createHmac, timingSafeEqual } from 'node:crypto';
import type { DataChannelKeys, DataCipher } from '@openvpnd/keygen';
import { FATE_TO_LINK, type PacketVector } from '@openvpnd/memory';
import type { Instant, Random } from '@openvpnd/sans-io';
import { LONG_PACKET_ID_BYTES, SHORT_PACKET_ID_BYTES } from '@openvpnd/wire';
import { DROP_IDS_EXHAUSTED, DROP_NOT_SEALED } from './drops.js';
import type { HmacDigest } from './hmac-digest.js';
import { PACKET_ID_WRAP_TRIGGER, PacketIdCounter } from './packet-id-counter.js';
import { type ReplayVerdict, ReplayWindow, type ReplayWindowOptions } from './replay-window.js';
import { ROW_SEALED, type RowCipher } from './row-cipher.js';
import { SIGNAL_PACKET_ID } from './signals.js';

const CBC_BLOCK_BYTES = 16;

export interface EncryptThenMacOptions {
  readonly keys: DataChannelKeys;
  /** Undefined for `auth none`. */
  readonly digest: HmacDigest | undefined;
  /** What stands in front of each packet that is sent: opcode, opcode and peer id, or nothing (static key). */
  readonly prefix: Uint8Array;
  /** Long packet ids (static key) carry the time. */
  readonly unixTime?: (now: Instant) => number;
  readonly replayWindow: ReplayWindowOptions;
  readonly random: Random;
}

/**
 * The data channel of before AEAD: `prefix HMAC IV CBC(packet id, payload)`, and with `cipher none` `prefix HMAC packet id payload`. The
 * HMAC covers what follows it, not the prefix; with `auth none` it is missing and nothing is authentic. OpenVPN: openvpn_encrypt_v1().
 */
export class EncryptThenMac implements RowCipher {
  readonly #cipher: DataCipher;
  readonly #algorithm: string;
  readonly #keys: DataChannelKeys;
  readonly #digest: HmacDigest | undefined;
  readonly #macBytes: number;
  readonly #ivBytes: number;
  readonly #prefix: Uint8Array;
  readonly #packetIdBytes: number;
  readonly #unixTime: ((now: Instant) => number) | undefined;
  readonly #random: Random;
  readonly #ids: PacketIdCounter;
  readonly #window: ReplayWindow;

  constructor(options: EncryptThenMacOptions) {
    const { keys, digest, unixTime } = options;
    this.#cipher = keys.cipher;
    this.#algorithm = keys.cipher.name.toLowerCase();
    this.#keys = keys;
    this.#digest = digest;
    this.#macBytes = digest?.bytes ?? 0;
    this.#ivBytes = keys.cipher.kind === 'cbc' ? CBC_BLOCK_BYTES : 0;
    this.#prefix = Uint8Array.from(options.prefix);
    this.#packetIdBytes = unixTime === undefined ? SHORT_PACKET_ID_BYTES : LONG_PACKET_ID_BYTES;
    this.#unixTime = unixTime;
    this.#random = options.random;
    this.#ids = new PacketIdCounter(unixTime === undefined ? 'short' : 'long');
    this.#window = new ReplayWindow(options.replayWindow);
  }

  get due(): number {
    // Long ids go on with a new series.
    return this.#unixTime === undefined && this.#ids.id >= PACKET_ID_WRAP_TRIGGER ? SIGNAL_PACKET_ID : 0;
  }

  seal(now: Instant, vector: PacketVector, row: number): number {
    const { bytes, view } = vector;
    const plainStart = vector.offset[row] - this.#packetIdBytes;
    const plainEnd = vector.offset[row] + vector.length[row];
    const macStart = plainStart - this.#ivBytes - this.#macBytes;
    const start = macStart - this.#prefix.length;
    const rowStart = row * vector.strideBytes;
    const sealedEnd =
      plainEnd + (this.#ivBytes === 0 ? 0 : CBC_BLOCK_BYTES - ((plainEnd - plainStart) % CBC_BLOCK_BYTES));
    // The portable device delivers no super-packets, and these formats are for small tunnels.
    if (vector.segments[row] > 1 || start < rowStart || sealedEnd > rowStart + vector.strideBytes)
      return DROP_NOT_SEALED;
    if (!this.#ids.advance(this.#unixTime?.(now) ?? 0)) return DROP_IDS_EXHAUSTED;
    view.setUint32(plainStart, this.#ids.id);
    if (this.#unixTime !== undefined) view.setUint32(plainStart + SHORT_PACKET_ID_BYTES, this.#ids.seriesTime);
    vector.packetIdLow[row] = this.#ids.id;
    vector.packetIdHigh[row] = this.#ids.seriesTime;
    if (this.#cipher.kind === 'cbc') {
      const iv = bytes.subarray(plainStart - this.#ivBytes, plainStart);
      this.#random.fill(iv);
      const cipher = createCipheriv(this.#algorithm, this.#keys.send.cipherKey.bytes, iv);
      const head = cipher.update(bytes.subarray(plainStart, plainEnd));
      bytes.set(head, plainStart);
      bytes.set(cipher.final(), plainStart + head.length);
    }
    if (this.#digest !== undefined) {
      const mac = this.#mac(this.#keys.send.hmacKey.bytes, bytes.subarray(macStart + this.#macBytes, sealedEnd));
      bytes.set(mac, macStart);
    }
    bytes.set(this.#prefix, start);
    vector.offset[row] = start;
    vector.length[row] = sealedEnd - start;
    vector.fate[row] = FATE_TO_LINK;
    return ROW_SEALED;
  }

  open(vector: PacketVector, row: number, prefixBytes: number): boolean {
    const { bytes, view } = vector;
    const macStart = vector.offset[row] + prefixBytes;
    const authenticStart = macStart + this.#macBytes;
    const cipherStart = authenticStart + this.#ivBytes;
    const end = vector.offset[row] + vector.length[row];
    if (end < cipherStart + this.#packetIdBytes) return false;
    if (this.#digest !== undefined) {
      const mac = this.#mac(this.#keys.receive.hmacKey.bytes, bytes.subarray(authenticStart, end));
      if (!timingSafeEqual(mac, bytes.subarray(macStart, authenticStart))) return false;
    }
    let plainBytes = end - cipherStart;
    if (this.#cipher.kind === 'cbc') {
      plainBytes = this.#decrypt(bytes, authenticStart, cipherStart, end);
      if (plainBytes < this.#packetIdBytes) return false;
    }
    vector.packetIdLow[row] = view.getUint32(cipherStart);
    vector.packetIdHigh[row] = this.#unixTime === undefined ? 0 : view.getUint32(cipherStart + SHORT_PACKET_ID_BYTES);
    vector.offset[row] = cipherStart + this.#packetIdBytes;
    vector.length[row] = plainBytes - this.#packetIdBytes;
    return true;
  }

  accept(now: Instant, vector: PacketVector, row: number): ReplayVerdict {
    return this.#window.accept(now, vector.packetIdLow[row], vector.packetIdHigh[row]);
  }

  retire(): void {
    // Nothing is derived: the keys are used as they are.
  }

  /** Decrypts in place. @returns the length of the plaintext, -1 when the padding is wrong (which only `auth none` lets come so far) */
  #decrypt(bytes: Uint8Array, ivStart: number, start: number, end: number): number {
    const length = end - start;
    if (length === 0 || length % CBC_BLOCK_BYTES !== 0) return -1;
    const decipher = createDecipheriv(
      this.#algorithm,
      this.#keys.receive.cipherKey.bytes,
      bytes.subarray(ivStart, start),
    );
    const head = decipher.update(bytes.subarray(start, end));
    try {
      const tail = decipher.final();
      bytes.set(head, start);
      bytes.set(tail, start + head.length);
      return head.length + tail.length;
    } catch {
      // The only way in which final() tells that the padding is wrong.
      return -1;
    }
  }

  /** OpenVPN: md_kt_size() bytes of the slot are the key. */
  #mac(slot: Uint8Array, authentic: Uint8Array): Uint8Array {
    const { algorithm, bytes } = this.#digest ?? { algorithm: '', bytes: 0 };
    return createHmac(algorithm, slot.subarray(0, bytes)).update(authentic).digest();
  }
}
