import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { DATA_DROPS } from './drops.js';
import { KeepAlive } from './keep-alive.js';
import { type AeadLimits, KeySlots, NO_ENTRY } from './key-slots.js';
import type { PayloadFraming } from './payload-framing.js';
import { CounterTable } from './peer-counters.js';
import type { PeerSettings } from './peer-settings.js';
import type { AeadBackend } from './ports.js';
import { RefusalLimit } from './refusal-limit.js';
import { type RefusalSignal, SignalBoard } from './signals.js';

/** What the stages of the data channel share: all that is known of the peers, by slot, and of their keys. */
export class PeerTable {
  readonly maxPeers: number;
  readonly keys: KeySlots;
  readonly timers: KeepAlive;
  readonly signals: SignalBoard;
  readonly counters: CounterTable;
  readonly #refusals: RefusalLimit;
  readonly drops: Float64Array = new Float64Array(DATA_DROPS.length);
  /** Undefined for a slot that is not in use. */
  readonly settings: (PeerSettings | undefined)[];
  /** The key that is sent with, or NO_ENTRY. */
  readonly sendEntry: Int32Array;
  /** The key that was installed last: only that one asks to be replaced. */
  readonly newestEntry: Int32Array;
  /** What SYNs are clamped to, by the key that is sent with; 0 for not at all. */
  readonly mss: Uint16Array;
  /** 1 for a peer with a static key, whose packets begin with no opcode. */
  readonly staticKey: Uint8Array;

  /** Of the few peers that have one. */
  readonly framings: (PayloadFraming | undefined)[];
  /** How many have one: without any, nobody looks. */
  framedPeers = 0;

  constructor(backend: AeadBackend, maxPeers: number, aeadLimits?: AeadLimits) {
    this.maxPeers = maxPeers;
    this.keys = new KeySlots(backend, maxPeers, aeadLimits);
    this.timers = new KeepAlive(maxPeers);
    this.signals = new SignalBoard(maxPeers);
    this.#refusals = new RefusalLimit(maxPeers);
    this.counters = new CounterTable(maxPeers);
    this.settings = new Array<PeerSettings | undefined>(maxPeers).fill(undefined);
    this.framings = new Array<PayloadFraming | undefined>(maxPeers).fill(undefined);
    this.sendEntry = new Int32Array(maxPeers).fill(NO_ENTRY);
    this.newestEntry = new Int32Array(maxPeers).fill(NO_ENTRY);
    this.mss = new Uint16Array(maxPeers);
    this.staticKey = new Uint8Array(maxPeers);
  }

  /** The settings of a slot in use. @throws RangeError for another: a bug of ours */
  settingsOf(slot: number): PeerSettings {
    const settings = this.settings[slot];
    if (settings === undefined) throw new RangeError(`no peer in slot ${slot}`);
    return settings;
  }

  setFraming(slot: number, framing: PayloadFraming | undefined): void {
    if (this.framings[slot] !== undefined) this.framedPeers -= 1;
    if (framing !== undefined) this.framedPeers += 1;
    this.framings[slot] = framing;
  }

  drop(vector: PacketVector, row: number, code: number): void {
    vector.drop(row);
    this.drops[code] += 1;
  }

  /** Counts an authentic packet. Lengths in bytes, of the plaintext and of the datagram. */
  noteOpened(slot: number, entry: number, plainBytes: number, wireBytes: number): void {
    this.counters.received(slot, wireBytes);
    this.raise(slot, entry, this.keys.countOpened(entry, plainBytes, wireBytes));
  }

  /** Counts a payload that goes on to the device. */
  notePayloadIn(now: Instant, slot: number, bytes: number): void {
    this.counters.payloadIn(slot, bytes);
    this.timers.noteActivity(slot, bytes, now);
  }

  /** Counts packets that were sealed and are as good as sent. */
  noteSealed(now: Instant, slot: number, entry: number, packets: number, plainBytes: number, wireBytes: number): void {
    this.counters.sent(slot, packets, wireBytes);
    this.raise(slot, entry, this.keys.countSealed(entry, packets, plainBytes, wireBytes));
    this.timers.lastSent[slot] = now;
  }

  /** Counts a payload that came from the device. */
  notePayloadOut(now: Instant, slot: number, bytes: number): void {
    this.counters.payloadOut(slot, bytes);
    this.timers.noteActivity(slot, bytes, now);
  }

  clearRefusals(slot: number): void {
    this.#refusals.clear(slot);
  }

  /** Tells of a packet that was refused, unless enough was told of late. */
  refuse(
    now: Instant,
    slot: number,
    entry: number,
    reason: RefusalSignal['reason'],
    packetId: number,
    packetTime: number,
  ): void {
    const packets = this.#refusals.count(now, slot);
    if (packets === 0) return;
    const aead = this.keys.isAead(entry);
    this.signals.raiseRefusal({ type: 'refused', slot, reason, aead, packetId, packetTime, packets });
  }

  /** Raises what a key asks for, once, and only for the newest key: an older one is being replaced already. */
  raise(slot: number, entry: number, bits: number): void {
    if (bits === 0 || entry !== this.newestEntry[slot]) return;
    const fresh = this.keys.sayOnce(entry, bits);
    if (fresh !== 0) this.signals.raise(slot, fresh);
  }
}

/** Scratch columns of the rows of a vector in work. They grow once for each larger vector that comes. */
export class RowScratch {
  /** The entry of the row's key, or NO_ENTRY when the row is not this stage's. */
  entry: Int32Array = new Int32Array(0);
  /** The row's length before the stage. */
  bytes: Uint32Array = new Uint32Array(0);

  fit(vector: PacketVector): void {
    if (this.entry.length >= vector.capacity) return;
    this.entry = new Int32Array(vector.capacity);
    this.bytes = new Uint32Array(vector.capacity);
  }
}
