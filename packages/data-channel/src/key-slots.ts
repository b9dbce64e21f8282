import type { DataChannelKeys, DirectionalKey } from '@openvpnd/keygen';
import { NO_KEY } from '@openvpnd/memory';
import { MAX_KEY_ID, P_DATA_V2 } from '@openvpnd/wire';
import type { EpochKeys } from './epoch-keys.js';
import { PACKET_ID_WRAP_TRIGGER } from './packet-id-counter.js';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from './ports.js';
import { ReplayWindow, type ReplayWindowOptions } from './replay-window.js';
import type { RowCipher } from './row-cipher.js';
import { SIGNAL_AEAD_LIMIT, SIGNAL_BYTES, SIGNAL_FAILURES, SIGNAL_PACKET_ID, SIGNAL_PACKETS } from './signals.js';

/** Key ids 0 … 7: an entry of the table is `slot * KEYS_PER_PEER + keyId`. */
export const KEYS_PER_PEER: number = MAX_KEY_ID + 1;
export const NO_ENTRY = -1;

/** How much one AEAD key may do. Source: draft-irtf-cfrg-aead-limits; OpenVPN: cipher_get_aead_limits(). */
export interface AeadLimits {
  /** GCM: blocks of 16 bytes and packets, each direction for itself. */
  readonly usage: number;
  /** Failed verifications: at half of it the key is to be replaced, beyond it nothing is opened any more. */
  readonly failures: number;
}

export const AEAD_LIMITS: AeadLimits = { usage: 2 ** 36 - 1, failures: 2 ** 36 };

const BLOCK_BYTES = 16;

export interface KeyLimits {
  readonly renegotiateBytes: number;
  readonly renegotiatePackets: number;
}

export interface InstallOptions {
  /** What SYNs are clamped to; 0 for not at all. */
  readonly mss: number;
  readonly replayWindow: ReplayWindowOptions;
  readonly limits: KeyLimits;
}

/** The keys of all peers: backend handles, packet ids, replay windows and usage, by entry, in typed arrays. */
export class KeySlots {
  readonly sealHandle: Uint32Array;
  readonly openHandleV1: Uint32Array;
  readonly openHandleV2: Uint32Array;
  /** The last packet id that was given out; 0 before the first. */
  readonly lastPacketId: Float64Array;
  readonly windows: (ReplayWindow | undefined)[];
  /** The keys that are chains of keys of the backend. */
  readonly epochKeys: (EpochKeys | undefined)[];
  /** The keys that the backend does not serve. */
  readonly rowCiphers: (RowCipher | undefined)[];
  /** How many of them there are. */
  rowCipherCount = 0;
  /** What SYNs are clamped to while the key is sent with; 0 for not at all. */
  readonly mss: Uint16Array;
  /** 1 from the first packet that was opened under the key. */
  readonly inUse: Uint8Array;
  readonly #backend: AeadBackend;
  readonly #aeadLimits: AeadLimits;
  readonly #keys: (DataChannelKeys | undefined)[];
  readonly #sealUsage: Float64Array;
  readonly #openUsage: Float64Array;
  readonly #usageTrigger: Float64Array;
  readonly #failures: Float64Array;
  readonly #bytes: Float64Array;
  readonly #packets: Float64Array;
  readonly #bytesTrigger: Float64Array;
  readonly #packetsTrigger: Float64Array;
  readonly #said: Uint8Array;

  constructor(backend: AeadBackend, maxPeers: number, aeadLimits: AeadLimits = AEAD_LIMITS) {
    const entries = maxPeers * KEYS_PER_PEER;
    this.#backend = backend;
    this.#aeadLimits = aeadLimits;
    this.sealHandle = new Uint32Array(entries).fill(NO_KEY);
    this.openHandleV1 = new Uint32Array(entries).fill(NO_KEY);
    this.openHandleV2 = new Uint32Array(entries).fill(NO_KEY);
    this.lastPacketId = new Float64Array(entries);
    this.mss = new Uint16Array(entries);
    this.inUse = new Uint8Array(entries);
    this.windows = new Array<ReplayWindow | undefined>(entries).fill(undefined);
    this.epochKeys = new Array<EpochKeys | undefined>(entries).fill(undefined);
    this.rowCiphers = new Array<RowCipher | undefined>(entries).fill(undefined);
    this.#keys = new Array<DataChannelKeys | undefined>(entries).fill(undefined);
    this.#sealUsage = new Float64Array(entries);
    this.#openUsage = new Float64Array(entries);
    this.#usageTrigger = new Float64Array(entries);
    this.#failures = new Float64Array(entries);
    this.#bytes = new Float64Array(entries);
    this.#packets = new Float64Array(entries);
    this.#bytesTrigger = new Float64Array(entries);
    this.#packetsTrigger = new Float64Array(entries);
    this.#said = new Uint8Array(entries);
  }

  /** Takes AEAD keys over: they are zeroed when the entry is retired. One that stood there before is retired. */
  install(entry: number, keys: DataChannelKeys, prefix: Uint8Array, options: InstallOptions): void {
    this.#start(entry, keys, options);
    this.sealHandle[entry] = this.#backend.installKey(aeadKey(keys, keys.send, 'seal', prefix));
    this.windows[entry] = new ReplayWindow(options.replayWindow);
    // ChaCha20-Poly1305 has no such limit.
    const { usage } = this.#aeadLimits;
    if (keys.cipher.blockBytes === BLOCK_BYTES) this.#usageTrigger[entry] = Math.floor((usage / 8) * 7);
  }

  /** Takes keys over of which there are epochs. */
  installEpochs(entry: number, keys: DataChannelKeys, epochKeys: EpochKeys, options: InstallOptions): void {
    this.#start(entry, keys, options);
    this.epochKeys[entry] = epochKeys;
  }

  /** Takes keys over for which there is a cipher of our own. */
  installRowCipher(entry: number, keys: DataChannelKeys, cipher: RowCipher, options: InstallOptions): void {
    this.#start(entry, keys, options);
    this.rowCiphers[entry] = cipher;
    this.rowCipherCount += 1;
  }

  /** Whether the entry's cipher is an AEAD. */
  isAead(entry: number): boolean {
    return this.#keys[entry]?.cipher.kind === 'aead';
  }

  has(entry: number): boolean {
    return this.#keys[entry] !== undefined;
  }

  retire(entry: number): void {
    const keys = this.#keys[entry];
    if (keys === undefined) return;
    this.#retireHandle(this.sealHandle, entry);
    this.#retireHandle(this.openHandleV1, entry);
    this.#retireHandle(this.openHandleV2, entry);
    zero(keys.send);
    zero(keys.receive);
    this.#keys[entry] = undefined;
    this.windows[entry] = undefined;
    if (this.rowCiphers[entry] !== undefined) this.rowCipherCount -= 1;
    this.epochKeys[entry]?.retire();
    this.epochKeys[entry] = undefined;
    this.rowCiphers[entry]?.retire();
    this.rowCiphers[entry] = undefined;
  }

  /**
   * The handle that opens packets of one version under a plain AEAD key, made when the first of them comes: a peer sends either P_DATA_V1 or P_DATA_V2,
   * and which one it does is not ours to know. NO_KEY when there is no such key.
   */
  openHandle(entry: number, opcode: number): AeadKeyHandle {
    const keys = this.#keys[entry];
    if (keys === undefined || this.#failures[entry] > this.#aeadLimits.failures) return NO_KEY;
    const handles = opcode === P_DATA_V2 ? this.openHandleV2 : this.openHandleV1;
    if (handles[entry] === NO_KEY) {
      const prefix = new Uint8Array(opcode === P_DATA_V2 ? 4 : 1);
      handles[entry] = this.#backend.installKey(aeadKey(keys, keys.receive, 'open', prefix));
    }
    return handles[entry];
  }

  /** Counts sealed packets. @returns the signals that are due, as bits */
  countSealed(entry: number, packets: number, payloadBytes: number, wireBytes: number): number {
    this.#sealUsage[entry] += Math.ceil(payloadBytes / BLOCK_BYTES) + packets;
    let bits = this.#countTraffic(entry, packets, wireBytes);
    if (this.#sealUsage[entry] > this.#usageTrigger[entry]) bits |= SIGNAL_AEAD_LIMIT;
    if (this.lastPacketId[entry] >= PACKET_ID_WRAP_TRIGGER) bits |= SIGNAL_PACKET_ID;
    const other = this.epochKeys[entry] ?? this.rowCiphers[entry];
    return other === undefined ? bits : bits | other.due;
  }

  /** Counts an opened packet. @returns the signals that are due, as bits */
  countOpened(entry: number, payloadBytes: number, wireBytes: number): number {
    this.#openUsage[entry] += Math.ceil(payloadBytes / BLOCK_BYTES) + 1;
    const bits = this.#countTraffic(entry, 1, wireBytes);
    return this.#openUsage[entry] > this.#usageTrigger[entry] ? bits | SIGNAL_AEAD_LIMIT : bits;
  }

  /** Counts a packet that did not verify; past the limit the key opens nothing more. @returns the signals that are due, as bits */
  countFailure(entry: number): number {
    const other = this.epochKeys[entry] ?? this.rowCiphers[entry];
    if (other !== undefined) return other.due;
    this.#failures[entry] += 1;
    if (this.#failures[entry] > this.#aeadLimits.failures) {
      this.#retireHandle(this.openHandleV1, entry);
      this.#retireHandle(this.openHandleV2, entry);
    }
    return this.#failures[entry] > this.#aeadLimits.failures / 2 ? SIGNAL_FAILURES : 0;
  }

  /** Of `bits` those that were not said of this key before. */
  sayOnce(entry: number, bits: number): number {
    const fresh = bits & ~this.#said[entry];
    this.#said[entry] |= bits;
    return fresh;
  }

  #start(entry: number, keys: DataChannelKeys, options: InstallOptions): void {
    this.retire(entry);
    this.#keys[entry] = keys;
    this.lastPacketId[entry] = 0;
    this.mss[entry] = options.mss;
    this.inUse[entry] = 0;
    this.#sealUsage[entry] = 0;
    this.#openUsage[entry] = 0;
    this.#usageTrigger[entry] = Number.POSITIVE_INFINITY;
    this.#failures[entry] = 0;
    this.#bytes[entry] = 0;
    this.#packets[entry] = 0;
    this.#bytesTrigger[entry] = options.limits.renegotiateBytes;
    this.#packetsTrigger[entry] = options.limits.renegotiatePackets;
    this.#said[entry] = 0;
  }

  #countTraffic(entry: number, packets: number, wireBytes: number): number {
    this.#packets[entry] += packets;
    this.#bytes[entry] += wireBytes;
    return (
      (this.#bytes[entry] >= this.#bytesTrigger[entry] ? SIGNAL_BYTES : 0) |
      (this.#packets[entry] >= this.#packetsTrigger[entry] ? SIGNAL_PACKETS : 0)
    );
  }

  #retireHandle(handles: Uint32Array, entry: number): void {
    if (handles[entry] !== NO_KEY) this.#backend.retireKey(handles[entry]);
    handles[entry] = NO_KEY;
  }
}

function aeadKey(
  keys: DataChannelKeys,
  half: DirectionalKey,
  direction: AeadKeyOptions['direction'],
  prefix: Uint8Array,
): AeadKeyOptions {
  return {
    cipher: keys.cipher.name as AeadKeyOptions['cipher'],
    key: half.cipherKey.bytes,
    implicitIv: half.implicitIv.bytes,
    direction,
    prefix,
  };
}

function zero(half: DirectionalKey): void {
  half.cipherKey.zero();
  half.implicitIv.zero();
  half.hmacKey.zero();
  half.epochSecret.zero();
}
