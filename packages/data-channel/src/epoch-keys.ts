import type { DataChannelKeys, EpochDataKey } from '@openvpnd/keygen';
import { NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { DATA_V2_HEADER_BYTES, MIN_EPOCH_BYTES } from '@openvpnd/wire';
import { type EpochDerivation, EpochReceiveKeys } from './epoch-receive-keys.js';
import { EpochSendKey, LAST_EPOCH_COUNTER } from './epoch-send-key.js';
import type { AeadLimits } from './key-slots.js';
import type { AeadBackend, AeadKeyHandle, AeadKeyOptions } from './ports.js';
import { REPLAY_TOO_OLD, type ReplayVerdict, type ReplayWindow, type ReplayWindowOptions } from './replay-window.js';
import { SIGNAL_AEAD_LIMIT, SIGNAL_PACKET_ID } from './signals.js';

const BLOCK_BYTES = 16;
/** The headers of an inner packet, at most: a super-packet has them once, and its segments each. */
const HEADER_BLOCKS = 8;
const WORD = 0x1_0000_0000;
/** From this epoch on the key is to be replaced. */
const EPOCH_TRIGGER = 0xf000;
/** How many epochs the sender goes ahead of what the peer has shown to know: the fewest that any peer keeps. */
const MAX_EPOCHS_AHEAD = 4;

export interface EpochKeysOptions {
  readonly backend: AeadBackend;
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
 * Epoch data keys of OpenVPN 2.7: a chain of keys for each direction, made of what one key exchange gives. Each end goes to the next epoch when
 * its key is worn out, and follows when the other one has. Each epoch is a key of the backend. OpenVPN: crypto_epoch.c.
 *
 * Packet ids are in both words of a row: the epoch (16 bits) and a counter (48 bits).
 */
export class EpochKeys {
  readonly #backend: AeadBackend;
  readonly #cipher: AeadKeyOptions['cipher'];
  readonly #prefix: Uint8Array;
  readonly #limits: AeadLimits;
  /** Blocks and packets after which an epoch is worn out. */
  readonly #usageLimit: number;
  readonly #receive: EpochReceiveKeys;
  readonly #send: EpochSendKey;
  /** What was lent last: the epoch and the first counter. */
  #lentEpoch = 0;
  #lentFirst = 0;
  /** Keys to seal with that rows of the vector in work may still name. */
  #left: AeadKeyHandle[] = [];

  constructor(options: EpochKeysOptions) {
    const { backend, keys, derivation, limits, prefix } = options;
    if (prefix.length !== DATA_V2_HEADER_BYTES) throw new RangeError('epoch keys need P_DATA_V2');
    this.#backend = backend;
    this.#cipher = keys.cipher.name as AeadKeyOptions['cipher'];
    this.#prefix = Uint8Array.from(prefix);
    this.#limits = limits;
    // ChaCha20-Poly1305 has no such limit.
    this.#usageLimit = keys.cipher.blockBytes === BLOCK_BYTES ? limits.usage : Number.POSITIVE_INFINITY;
    this.#send = new EpochSendKey({
      derivation,
      firstSecret: keys.send.epochSecret,
      keyBytes: keys.cipher.keyBytes,
      installKey: (key) => this.#install(key, 'seal'),
      leaveKey: (handle) => this.#left.push(handle),
    });
    this.#receive = new EpochReceiveKeys({
      derivation,
      firstSecret: keys.receive.epochSecret,
      keyBytes: keys.cipher.keyBytes,
      replayWindow: options.replayWindow,
      installKey: (key) => this.#install(key, 'open'),
      retireKey: (handle) => backend.retireKey(handle),
      ...(options.futureEpochs === undefined ? {} : { futureEpochs: options.futureEpochs }),
    });
  }

  /** The epoch that is sent in: 1 … */
  get sendEpoch(): number {
    return this.#send.epoch;
  }

  /** The highest epoch that was received. */
  get receiveEpoch(): number {
    return this.#receive.current.epoch;
  }

  /** For tests: goes on as if `counter` packets had been sent in that epoch. */
  startAt(epoch: number, counter: number): void {
    this.#send.advance(epoch);
    this.#send.counter = counter;
  }

  /** The signals that are due, as bits. */
  get due(): number {
    const isStuck = this.#send.usage > this.#usageLimit && this.#isFarAhead;
    return (this.#send.epoch >= EPOCH_TRIGGER ? SIGNAL_PACKET_ID : 0) | (isStuck ? SIGNAL_AEAD_LIMIT : 0);
  }

  /** Gives a row that is to be sealed its key and its packet ids, one for each segment. False when there are none. */
  reserve(vector: PacketVector, row: number): boolean {
    const segments = vector.segments[row];
    const send = this.#send;
    if (this.#isWorn(segments)) send.advance(send.epoch + 1);
    if (send.counter + segments > LAST_EPOCH_COUNTER) return false;
    const first = send.counter + 1;
    send.counter += segments;
    const blocks = Math.ceil(vector.length[row] / BLOCK_BYTES);
    send.usage += segments === 1 ? blocks + 1 : blocks + segments * (1 + HEADER_BLOCKS);
    vector.packetIdHigh[row] = send.epoch * 0x1_0000 + Math.floor(first / WORD);
    vector.packetIdLow[row] = first % WORD;
    vector.key[row] = send.handle;
    return true;
  }

  /** Takes packet ids out for somebody else to use, from {@link lentHigh} and {@link lentLow} on. False when the epoch has not so many, or is about to end. */
  lend(packets: number): boolean {
    const send = this.#send;
    if (this.#isWorn(packets) || send.counter + packets > LAST_EPOCH_COUNTER) return false;
    this.#lentEpoch = send.epoch;
    this.#lentFirst = send.counter + 1;
    send.counter += packets;
    return true;
  }

  get lentHigh(): number {
    return this.#lentEpoch * 0x1_0000 + Math.floor(this.#lentFirst / WORD);
  }

  get lentLow(): number {
    return this.#lentFirst % WORD;
  }

  /** The last of the ids that were lent last were not used. */
  giveBack(packets: number): void {
    if (this.#send.epoch === this.#lentEpoch) this.#send.counter -= packets;
  }

  /** A packet was sealed under an id that was lent. */
  countLent(payloadBytes: number): void {
    if (this.#send.epoch === this.#lentEpoch) this.#send.usage += Math.ceil(payloadBytes / BLOCK_BYTES) + 1;
  }

  /** What seals in the current epoch. */
  get sendHandle(): AeadKeyHandle {
    return this.#send.handle;
  }

  /** The counters that were accepted in the current epoch, if that is the id's. */
  windowOf(idHigh: number): ReplayWindow | undefined {
    const { current } = this.#receive;
    return idHigh >>> 16 === current.epoch ? current.window : undefined;
  }

  /** What opens packets with such an id; NO_KEY when nothing does. */
  receiveHandle(idHigh: number): AeadKeyHandle {
    return this.#receive.find(idHigh >>> 16)?.handle ?? NO_KEY;
  }

  /** What was reserved has been sealed: keys that were left are not needed any more. */
  releaseLeft(): void {
    if (this.#left.length === 0) return;
    for (const handle of this.#left) this.#backend.retireKey(handle);
    this.#left = [];
  }

  /** The key that opens a row's packet, and its epoch in the row's column; NO_KEY when there is none, or the packet is too short. */
  choose(vector: PacketVector, row: number): AeadKeyHandle {
    vector.packetIdHigh[row] = 0;
    if (vector.length[row] < MIN_EPOCH_BYTES) return NO_KEY;
    const idHigh = vector.view.getUint32(vector.offset[row] + DATA_V2_HEADER_BYTES);
    const received = this.#receive.find(idHigh >>> 16);
    if (received === undefined || received.failures > this.#limits.failures) return NO_KEY;
    vector.packetIdHigh[row] = idHigh;
    return this.#receive.handleOf(received);
  }

  /** A row did not verify. */
  countFailure(vector: PacketVector, row: number): void {
    const received = this.#receive.find(vector.packetIdHigh[row] >>> 16);
    if (received !== undefined) received.failures += 1;
  }

  /** Whether the packet that was just opened is fresh; if so it is remembered. */
  accept(now: Instant, vector: PacketVector, row: number): ReplayVerdict {
    return this.acceptId(now, vector.packetIdHigh[row], vector.packetIdLow[row], vector.length[row]);
  }

  /** The same for a packet that is in no vector. */
  acceptId(now: Instant, idHigh: number, idLow: number, plainBytes: number): ReplayVerdict {
    const received = this.#receive.find(idHigh >>> 16);
    // Later packets of the same vector may have ended its epoch.
    if (received === undefined) return REPLAY_TOO_OLD;
    received.usage += Math.ceil(plainBytes / BLOCK_BYTES) + 1;
    // Even if the replay window refuses the packet: that the peer has gone on is authentic.
    if (received.epoch > this.#receive.current.epoch) {
      this.#receive.moveTo(received.epoch);
      if (this.#send.epoch < received.epoch) this.#send.advance(received.epoch);
    }
    return this.#receive.windowOf(received).accept(now, epochCounter(idHigh, idLow));
  }

  /** Overwrites what was derived from the keys. The keys themselves are zeroed by whoever holds them. */
  retire(): void {
    this.#receive.retire();
    this.#send.retire();
    this.releaseLeft();
  }

  /** Whether the next packets belong into the next epoch. OpenVPN: epoch_check_send_iterate(). */
  #isWorn(segments: number): boolean {
    const { current } = this.#receive;
    const send = this.#send;
    if (this.#isFarAhead) return false;
    if (send.usage > this.#usageLimit || send.counter + segments > LAST_EPOCH_COUNTER) return true;
    // Going on makes the peer follow, which renews the key that is received with.
    if (send.epoch !== current.epoch) return false;
    return current.usage > this.#usageLimit || current.failures > this.#limits.failures / 2;
  }

  /** Whether the peer may not know the next epoch. */
  get #isFarAhead(): boolean {
    return this.#send.epoch >= this.#receive.current.epoch + MAX_EPOCHS_AHEAD;
  }

  #install(key: EpochDataKey, direction: AeadKeyOptions['direction']): AeadKeyHandle {
    return this.#backend.installKey({
      cipher: this.#cipher,
      key: key.cipherKey.bytes,
      implicitIv: key.iv.bytes,
      direction,
      prefix: this.#prefix,
      layout: 'epoch',
    });
  }
}

/** The counter of a packet id, without its epoch. */
export function epochCounter(idHigh: number, idLow: number): number {
  return (idHigh & 0xffff) * WORD + idLow;
}
