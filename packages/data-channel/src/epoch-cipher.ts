import { createCipheriv, createDecipheriv } from 'node:crypto';
import type { DataChannelKeys, EpochDataKey } from '@openvpnd/keygen';
import { FATE_TO_LINK, type PacketVector } from '@openvpnd/memory';
import type { Instant, Secret } from '@openvpnd/sans-io';
import { AEAD_TAG_BYTES, DATA_V2_HEADER_BYTES, EPOCH_PACKET_ID_BYTES, MIN_EPOCH_BYTES } from '@openvpnd/wire';
import { DROP_IDS_EXHAUSTED, DROP_NOT_SEALED } from './drops.js';
import { type EpochDerivation, EpochReceiveKeys } from './epoch-receive-keys.js';
import type { AeadLimits } from './key-slots.js';
import { REPLAY_TOO_OLD, type ReplayVerdict, type ReplayWindowOptions } from './replay-window.js';
import { ROW_SEALED, type RowCipher } from './row-cipher.js';
import { SIGNAL_AEAD_LIMIT, SIGNAL_PACKET_ID } from './signals.js';

const BLOCK_BYTES = 16;
const CLEAR_BYTES: number = DATA_V2_HEADER_BYTES + EPOCH_PACKET_ID_BYTES;
const NONCE_BYTES = 12;
const WORD = 0x1_0000_0000;
/** The last counter of an epoch. */
const LAST_COUNTER = 2 ** 48 - 1;
/** From this epoch on the key is to be replaced. */
const EPOCH_TRIGGER = 0xf000;
/** How many epochs the sender goes ahead of what the peer has shown to know: the fewest that any peer keeps. */
const MAX_EPOCHS_AHEAD = 4;

export interface EpochCipherOptions {
  readonly keys: DataChannelKeys;
  /** Opcode and peer id: 4 bytes. */
  readonly prefix: Uint8Array;
  readonly derivation: EpochDerivation;
  readonly replayWindow: ReplayWindowOptions;
  readonly limits: AeadLimits;
  /** For tests: see EpochReceiveKeysOptions. */
  readonly futureEpochs?: number;
}

/**
 * Epoch data keys of OpenVPN 2.7: `prefix(4) epoch(2) counter(6) ciphertext tag(16)`. Each end goes to the next epoch when its key is worn
 * out, and follows when the other one has. Nonce: epoch and counter, padded with zeros, XOR the epoch's IV; additional data: all that
 * stands before the ciphertext. OpenVPN: crypto_epoch.c.
 */
export class EpochCipher implements RowCipher {
  readonly #algorithm: 'aes-128-gcm';
  readonly #keyBytes: number;
  readonly #limits: AeadLimits;
  /** Blocks and packets after which an epoch is worn out. */
  readonly #usageLimit: number;
  readonly #derivation: EpochDerivation;
  readonly #prefix: Uint8Array;
  readonly #nonce: Uint8Array = new Uint8Array(NONCE_BYTES);
  readonly #receive: EpochReceiveKeys;
  #sendSecret: Secret;
  #sendSecretIsOurs = false;
  #sendEpoch = 1;
  #sendCounter = 0;
  #sendUsage = 0;
  #sendKey: EpochDataKey;

  constructor(options: EpochCipherOptions) {
    const { keys, derivation, limits, prefix } = options;
    if (prefix.length !== DATA_V2_HEADER_BYTES) throw new RangeError('epoch keys need P_DATA_V2');
    // The types of node:crypto know authTagLength for names like this one only.
    this.#algorithm = keys.cipher.name.toLowerCase() as 'aes-128-gcm';
    this.#keyBytes = keys.cipher.keyBytes;
    this.#limits = limits;
    this.#usageLimit = keys.cipher.blockBytes === BLOCK_BYTES ? limits.usage : Number.POSITIVE_INFINITY;
    this.#derivation = derivation;
    this.#prefix = Uint8Array.from(prefix);
    this.#sendSecret = keys.send.epochSecret;
    this.#sendKey = derivation.epochDataKey(this.#sendSecret, this.#keyBytes);
    this.#receive = new EpochReceiveKeys({
      derivation,
      firstSecret: keys.receive.epochSecret,
      keyBytes: this.#keyBytes,
      replayWindow: options.replayWindow,
      futureEpochs: options.futureEpochs,
    });
  }

  /** The epoch that is sent in: 1 … */
  get sendEpoch(): number {
    return this.#sendEpoch;
  }

  /** The highest epoch that was received. */
  get receiveEpoch(): number {
    return this.#receive.current.epoch;
  }

  /** For tests: goes on as if `counter` packets had been sent in that epoch. */
  startAt(epoch: number, counter: number): void {
    this.#advance(epoch);
    this.#sendCounter = counter;
  }

  get due(): number {
    return (
      (this.#sendEpoch >= EPOCH_TRIGGER ? SIGNAL_PACKET_ID : 0) |
      (this.#sendUsage > this.#usageLimit ? SIGNAL_AEAD_LIMIT : 0)
    );
  }

  seal(_now: Instant, vector: PacketVector, row: number): number {
    const { bytes } = vector;
    const offset = vector.offset[row];
    const end = offset + vector.length[row];
    const start = offset - CLEAR_BYTES;
    const rowStart = row * vector.strideBytes;
    if (vector.segments[row] > 1 || start < rowStart || end + AEAD_TAG_BYTES > rowStart + vector.strideBytes) {
      return DROP_NOT_SEALED;
    }
    if (this.#isWorn()) this.#advance(this.#sendEpoch + 1);
    if (this.#sendCounter >= LAST_COUNTER) return DROP_IDS_EXHAUSTED;
    this.#sendCounter += 1;
    this.#sendUsage += Math.ceil(vector.length[row] / BLOCK_BYTES) + 1;
    bytes.set(this.#prefix, start);
    vector.packetIdHigh[row] = this.#sendEpoch * 0x1_0000 + Math.floor(this.#sendCounter / WORD);
    vector.packetIdLow[row] = this.#sendCounter % WORD;
    vector.view.setUint32(start + DATA_V2_HEADER_BYTES, vector.packetIdHigh[row]);
    vector.view.setUint32(start + DATA_V2_HEADER_BYTES + 4, vector.packetIdLow[row]);
    const nonce = this.#nonceOf(bytes, start, this.#sendKey);
    const cipher = createCipheriv(this.#algorithm, this.#sendKey.cipherKey.bytes, nonce, {
      authTagLength: AEAD_TAG_BYTES,
    });
    cipher.setAAD(bytes.subarray(start, offset));
    bytes.set(cipher.update(bytes.subarray(offset, end)), offset);
    cipher.final();
    bytes.set(cipher.getAuthTag(), end);
    vector.offset[row] = start;
    vector.length[row] = end + AEAD_TAG_BYTES - start;
    vector.fate[row] = FATE_TO_LINK;
    return ROW_SEALED;
  }

  open(vector: PacketVector, row: number, prefixBytes: number): boolean {
    const { bytes, view } = vector;
    const start = vector.offset[row];
    const end = start + vector.length[row];
    if (prefixBytes !== DATA_V2_HEADER_BYTES || end - start < MIN_EPOCH_BYTES) return false;
    const idHigh = view.getUint32(start + DATA_V2_HEADER_BYTES);
    const received = this.#receive.find(idHigh >>> 16);
    if (received === undefined || received.failures > this.#limits.failures) return false;
    const offset = start + CLEAR_BYTES;
    const tagStart = end - AEAD_TAG_BYTES;
    const nonce = this.#nonceOf(bytes, start, received.key);
    const decipher = createDecipheriv(this.#algorithm, received.key.cipherKey.bytes, nonce, {
      authTagLength: AEAD_TAG_BYTES,
    });
    decipher.setAAD(bytes.subarray(start, offset));
    decipher.setAuthTag(bytes.subarray(tagStart, end));
    const plain = decipher.update(bytes.subarray(offset, tagStart));
    try {
      decipher.final();
    } catch {
      // The only way in which final() tells that the tag is wrong.
      received.failures += 1;
      return false;
    }
    bytes.set(plain, offset);
    received.usage += Math.ceil(plain.length / BLOCK_BYTES) + 1;
    // Even if the replay window refuses the packet: that the peer has gone on is authentic.
    if (received.epoch > this.#receive.current.epoch) {
      this.#receive.moveTo(received.epoch);
      if (this.#sendEpoch < received.epoch) this.#advance(received.epoch);
    }
    vector.packetIdHigh[row] = idHigh;
    vector.packetIdLow[row] = view.getUint32(start + DATA_V2_HEADER_BYTES + 4);
    vector.offset[row] = offset;
    vector.length[row] = plain.length;
    return true;
  }

  accept(now: Instant, vector: PacketVector, row: number): ReplayVerdict {
    const idHigh = vector.packetIdHigh[row];
    const received = this.#receive.find(idHigh >>> 16);
    // Later packets of the same vector may have ended its epoch.
    if (received === undefined) return REPLAY_TOO_OLD;
    return received.window.accept(now, (idHigh & 0xffff) * WORD + vector.packetIdLow[row]);
  }

  retire(): void {
    this.#receive.retire();
    zero(this.#sendKey);
    if (this.#sendSecretIsOurs) this.#sendSecret.zero();
  }

  /** Whether the next packet belongs into the next epoch. OpenVPN: epoch_check_send_iterate(). */
  #isWorn(): boolean {
    const { current } = this.#receive;
    if (this.#sendEpoch >= current.epoch + MAX_EPOCHS_AHEAD) return false;
    if (this.#sendUsage > this.#usageLimit || this.#sendCounter >= LAST_COUNTER) return true;
    // Going on makes the peer follow, which renews the key that is received with.
    if (this.#sendEpoch !== current.epoch) return false;
    return current.usage > this.#usageLimit || current.failures > this.#limits.failures / 2;
  }

  /** Sends in that epoch from now on, with counters from 1. */
  #advance(epoch: number): void {
    for (; this.#sendEpoch < epoch; this.#sendEpoch++) {
      const secret = this.#derivation.nextEpochSecret(this.#sendSecret);
      if (this.#sendSecretIsOurs) this.#sendSecret.zero();
      this.#sendSecret = secret;
      this.#sendSecretIsOurs = true;
    }
    zero(this.#sendKey);
    this.#sendKey = this.#derivation.epochDataKey(this.#sendSecret, this.#keyBytes);
    this.#sendCounter = 0;
    this.#sendUsage = 0;
  }

  /** Epoch and counter stand in the packet, behind the prefix. */
  #nonceOf(bytes: Uint8Array, start: number, key: EpochDataKey): Uint8Array {
    const iv = key.iv.bytes;
    const nonce = this.#nonce;
    for (let index = 0; index < NONCE_BYTES; index++) {
      const id = index < EPOCH_PACKET_ID_BYTES ? bytes[start + DATA_V2_HEADER_BYTES + index] : 0;
      nonce[index] = iv[index] ^ id;
    }
    return nonce;
  }
}

function zero(key: EpochDataKey): void {
  key.cipherKey.zero();
  key.iv.zero();
}
