import type { DataChannelKeys } from '@openvpnd/keygen';
import {
  FATE_CONSUMED,
  FATE_DROPPED,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  NO_KEY,
  type PacketVector,
} from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { isOcc, isPing, keyIdOf, opcodeOf, P_DATA_V1, P_DATA_V2, PING_PAYLOAD, parseOccMessage } from '@openvpnd/wire';
import {
  DATA_DROPS,
  type DataDrop,
  DROP_ID_SEEN,
  DROP_ID_TOO_OLD,
  DROP_ID_ZERO,
  DROP_IDS_EXHAUSTED,
  DROP_NO_KEY,
  DROP_NO_SEND_KEY,
  DROP_NOT_AUTHENTIC,
  DROP_NOT_DATA,
  DROP_NOT_SEALED,
  DROP_TOO_SHORT,
  DROP_UNKNOWN_PEER,
  nameDrops,
} from './drops.js';
import { KeepAlive } from './keep-alive.js';
import { type AeadLimits, KEYS_PER_PEER, KeySlots, LAST_PACKET_ID, NO_ENTRY } from './key-slots.js';
import { clampMss } from './mss-clamp.js';
import { CounterTable, type PeerCounters } from './peer-counters.js';
import type { PeerSettings } from './peer-settings.js';
import type { AeadBackend } from './ports.js';
import {
  DEFAULT_REPLAY_WINDOW,
  REPLAY_ACCEPTED,
  REPLAY_SEEN,
  REPLAY_ZERO,
  type ReplayVerdict,
} from './replay-window.js';
import { type DataSignal, SignalBoard } from './signals.js';

export interface DataChannelOptions {
  readonly backend: AeadBackend;
  /** Slots run from 0 to this, exclusive. About 700 bytes each are allocated at once. */
  readonly maxPeers: number;
  /** Other limits than the real ones, for tests: nobody seals 2^36 blocks in one. */
  readonly aeadLimits?: AeadLimits;
}

/** How a key is to be used. */
export interface DataKeyOptions {
  /** 0 … 2^24 − 1: P_DATA_V2 is sent; without it P_DATA_V1. */
  readonly peerId?: number;
  /**
   * What the MSS of IPv4 SYNs is clamped to, both ways, while the key is sent with (IPv6: 20 less); 0 or missing for not at all. It depends
   * on the cipher: keygen's `mssOf()` works it out of `--mssfix`.
   */
  readonly mss?: number;
}

/**
 * The data channel of all peers of a process: seals and opens vectors of packets under each peer's keys, gives out packet ids, refuses
 * replays, clamps the MSS, sends and swallows keep-alives, and says when a key is worn out or a peer silent.
 *
 * A peer is a slot. It has up to eight keys at once, found by the key id in a packet's first byte; one of them is sent with. Any of them
 * opens, P_DATA_V1 as well as P_DATA_V2. Calls about slots and keys that do not exist are bugs of ours and throw; packets never do.
 */
export class DataChannel {
  /** What a vector must reserve around a packet. */
  static readonly needs = { headroom: 24, tailroom: 0 } as const;

  readonly #backend: AeadBackend;
  readonly #maxPeers: number;
  readonly #keys: KeySlots;
  readonly #timers: KeepAlive;
  readonly #signals: SignalBoard;
  readonly #counters: CounterTable;
  readonly #drops: Float64Array = new Float64Array(DATA_DROPS.length);
  readonly #settings: (PeerSettings | undefined)[];
  readonly #sendEntry: Int32Array;
  /** The key that was installed last: only that one asks to be replaced. */
  readonly #newestEntry: Int32Array;
  /** Of the key that is sent with. */
  readonly #mss: Uint16Array;
  /** Of each row of the vector in work: the entry of its key, or NO_ENTRY; and its length before it was sealed or opened. */
  #rowEntry: Int32Array = new Int32Array(0);
  #rowBytes: Uint32Array = new Uint32Array(0);

  constructor(options: DataChannelOptions) {
    const { backend, maxPeers } = options;
    this.#backend = backend;
    this.#maxPeers = maxPeers;
    this.#keys = new KeySlots(backend, maxPeers, options.aeadLimits);
    this.#timers = new KeepAlive(maxPeers);
    this.#signals = new SignalBoard(maxPeers);
    this.#counters = new CounterTable(maxPeers);
    this.#settings = new Array<PeerSettings | undefined>(maxPeers).fill(undefined);
    this.#sendEntry = new Int32Array(maxPeers).fill(NO_ENTRY);
    this.#newestEntry = new Int32Array(maxPeers).fill(NO_ENTRY);
    this.#mss = new Uint16Array(maxPeers);
  }

  /** Takes a slot into use, without keys; its timers start. */
  addPeer(slot: number, settings: PeerSettings, now: Instant): void {
    if (!(slot >= 0 && slot < this.#maxPeers)) throw new RangeError(`no slot ${slot}`);
    if (this.#settings[slot] !== undefined) throw new RangeError(`slot ${slot} is in use`);
    this.#settings[slot] = settings;
    this.#counters.clear(slot);
    this.#timers.configure(slot, settings, now);
  }

  /** Changes some settings of a peer, as a pushed `ping` does; its timers start anew. */
  configurePeer(slot: number, changes: PeerSettings, now: Instant): void {
    const settings = { ...this.#settingsOf(slot), ...changes };
    this.#settings[slot] = settings;
    this.#timers.configure(slot, settings, now);
  }

  /** Retires all keys of a peer and gives its slot free. A slot that is not in use is left alone. */
  removePeer(slot: number): void {
    if (this.#settings[slot] === undefined) return;
    for (let keyId = 0; keyId < KEYS_PER_PEER; keyId++) this.retireKeys(slot, keyId);
    this.#settings[slot] = undefined;
    this.#timers.forget(slot);
    this.#signals.clear(slot);
  }

  /**
   * Lets a key open packets; sealing needs {@link sendWith}. The keys are taken over: they are zeroed when they are retired. A key of the
   * same id is retired first.
   */
  installKeys(slot: number, keyId: number, keys: DataChannelKeys, options: DataKeyOptions = {}): void {
    const settings = this.#settingsOf(slot);
    if (keys.cipher.kind !== 'aead') throw new RangeError(`${keys.cipher.name} is not an AEAD cipher`);
    const entry = entryOf(slot, keyId);
    this.#keys.install(entry, keys, {
      peerId: options.peerId,
      mss: Math.min(options.mss ?? 0, 0xffff),
      replayWindow: settings.replayWindow ?? DEFAULT_REPLAY_WINDOW,
      limits: {
        renegotiateBytes: settings.renegotiateBytes || Number.POSITIVE_INFINITY,
        renegotiatePackets: settings.renegotiatePackets || Number.POSITIVE_INFINITY,
      },
    });
    this.#newestEntry[slot] = entry;
    if (this.#sendEntry[slot] === entry) this.#mss[slot] = this.#keys.mss[entry];
  }

  /** From now on packets to this peer are sealed under that key. */
  sendWith(slot: number, keyId: number): void {
    const entry = entryOf(slot, keyId);
    if (!this.#keys.has(entry)) throw new RangeError(`peer ${slot} has no key ${keyId}`);
    this.#sendEntry[slot] = entry;
    this.#mss[slot] = this.#keys.mss[entry];
  }

  /** Zeroes a key and forgets it. A peer that was sent to with it cannot be sent to until the next {@link sendWith}. */
  retireKeys(slot: number, keyId: number): void {
    const entry = entryOf(slot, keyId);
    this.#keys.retire(entry);
    if (this.#sendEntry[slot] === entry) this.#sendEntry[slot] = NO_ENTRY;
    if (this.#newestEntry[slot] === entry) this.#newestEntry[slot] = NO_ENTRY;
  }

  /** Whether packets to this peer can be sealed. */
  canSend(slot: number): boolean {
    return this.#sendEntry[slot] >= 0;
  }

  /** A control packet of this peer was authentic: it is not silent. */
  noteControlReceived(slot: number, now: Instant): void {
    this.#timers.lastReceived[slot] = now;
  }

  /** A control packet was sent to this peer: no ping is needed. */
  noteControlSent(slot: number, now: Instant): void {
    this.#timers.lastSent[slot] = now;
  }

  /**
   * Opens each row with fate OPEN: authentic, fresh and payload → INNER; keep-alive or OCC message → CONSUMED; everything
   * else → DROPPED and counted.
   */
  openBatch(now: Instant, vector: PacketVector): void {
    if (this.#chooseOpenKeys(vector) === 0) return;
    this.#backend.openBatch(vector);
    this.#takeOpened(now, vector);
  }

  /** Seals each row with fate SEAL under its peer's key: → TO_LINK, or DROPPED and counted. */
  sealBatch(now: Instant, vector: PacketVector): void {
    this.#seal(now, vector, true);
  }

  /**
   * Appends to `out` a sealed keep-alive (TO_LINK) for each peer to whom nothing was sent for its ping interval, and raises the signals of
   * silence and inactivity. Where `out` becomes full the rest comes with the next call: {@link nextTimeout} stays in the past.
   */
  handleTimeout(now: Instant, out: PacketVector): void {
    if (this.#timers.nextTimeout > now) return;
    const before = out.count;
    this.#timers.handleTimeout(now, this.#signals, (slot) => {
      if (this.#sendEntry[slot] < 0) return true;
      const row = out.appendCopy(PING_PAYLOAD);
      if (row < 0) return false;
      out.fate[row] = FATE_SEAL;
      out.slot[row] = slot;
      this.#counters.pingOut(slot);
      return true;
    });
    if (out.count > before) this.#seal(now, out, false);
  }

  /** When {@link handleTimeout} is to be called; NEVER without timers. */
  nextTimeout(): Instant {
    return this.#timers.nextTimeout;
  }

  /** What happened that others must act on, since the last call. */
  takeSignals(): readonly DataSignal[] {
    return this.#signals.take();
  }

  counters(slot: number): PeerCounters {
    return this.#counters.read(slot);
  }

  /** Dropped packets of all peers, by reason; reasons that did not occur are missing. */
  drops(): Partial<Record<DataDrop, number>> {
    return nameDrops(this.#drops);
  }

  /** Gives each row that is to be opened its key. @returns how many there are */
  #chooseOpenKeys(vector: PacketVector): number {
    const rowEntry = this.#rowEntries(vector);
    const rowBytes = this.#rowBytes;
    const { bytes, fate, slot: slots, offset, length, key } = vector;
    const keys = this.#keys;
    let chosen = 0;
    for (let row = 0; row < vector.count; row++) {
      rowEntry[row] = NO_ENTRY;
      if (fate[row] !== FATE_OPEN) continue;
      const slot = slots[row];
      if (slot >= this.#maxPeers || this.#settings[slot] === undefined) {
        this.#drop(vector, row, DROP_UNKNOWN_PEER);
        continue;
      }
      if (length[row] === 0) {
        this.#drop(vector, row, DROP_TOO_SHORT);
        continue;
      }
      const first = bytes[offset[row]];
      const opcode = opcodeOf(first);
      const entry = slot * KEYS_PER_PEER + keyIdOf(first);
      let handle = NO_KEY;
      if (opcode === P_DATA_V2) {
        handle = keys.openHandleV2[entry];
      } else if (opcode === P_DATA_V1) {
        handle = keys.openHandleV1[entry];
      } else {
        this.#drop(vector, row, DROP_NOT_DATA);
        continue;
      }
      if (handle === NO_KEY) {
        handle = keys.openHandle(entry, opcode);
        if (handle === NO_KEY) {
          this.#drop(vector, row, DROP_NO_KEY);
          continue;
        }
      }
      key[row] = handle;
      rowEntry[row] = entry;
      rowBytes[row] = length[row];
      chosen += 1;
    }
    return chosen;
  }

  /** Judges the rows that the backend has opened or refused. */
  #takeOpened(now: Instant, vector: PacketVector): void {
    const rowEntry = this.#rowEntry;
    const rowBytes = this.#rowBytes;
    const { bytes, fate, offset, length, key, packetIdLow } = vector;
    const keys = this.#keys;
    for (let row = 0; row < vector.count; row++) {
      const entry = rowEntry[row];
      if (entry === NO_ENTRY) continue;
      const slot = Math.floor(entry / KEYS_PER_PEER);
      key[row] = NO_KEY;
      if (fate[row] !== FATE_INNER) {
        this.#drop(vector, row, DROP_NOT_AUTHENTIC);
        this.#counters.notAuthentic(slot);
        this.#raise(slot, entry, keys.countFailure(entry));
        continue;
      }
      const payloadBytes = length[row];
      this.#counters.received(slot, rowBytes[row]);
      this.#raise(slot, entry, keys.countOpened(entry, payloadBytes, rowBytes[row]));
      const verdict = keys.windows[entry]?.accept(now, packetIdLow[row]) ?? REPLAY_ZERO;
      if (verdict !== REPLAY_ACCEPTED) {
        this.#drop(vector, row, dropOf(verdict));
        this.#counters.replayed(slot);
        continue;
      }
      this.#timers.lastReceived[slot] = now;
      if (isPing(bytes, offset[row], payloadBytes)) {
        this.#counters.pingIn(slot);
        fate[row] = FATE_CONSUMED;
        continue;
      }
      if (isOcc(bytes, offset[row], payloadBytes)) {
        this.#hearOcc(slot, vector, row);
        continue;
      }
      this.#counters.payloadIn(slot, payloadBytes);
      this.#timers.noteActivity(slot, payloadBytes, now);
      if (this.#mss[slot] !== 0) clampMss(bytes, offset[row], payloadBytes, this.#mss[slot]);
    }
  }

  #hearOcc(slot: number, vector: PacketVector, row: number): void {
    const parsed = parseOccMessage(vector.packet(row));
    vector.fate[row] = FATE_CONSUMED;
    if (parsed.ok) this.#signals.raiseOcc(slot, parsed.value);
  }

  #seal(now: Instant, vector: PacketVector, isPayload: boolean): void {
    if (this.#chooseSealKeys(vector) === 0) return;
    this.#backend.sealBatch(vector);
    this.#takeSealed(now, vector, isPayload);
  }

  /** Gives each row that is to be sealed its key and its packet ids. @returns how many there are */
  #chooseSealKeys(vector: PacketVector): number {
    const rowEntry = this.#rowEntries(vector);
    const rowBytes = this.#rowBytes;
    const { bytes, fate, slot: slots, offset, length, key, packetIdLow, segments } = vector;
    const { lastPacketId, sealHandle } = this.#keys;
    let chosen = 0;
    for (let row = 0; row < vector.count; row++) {
      rowEntry[row] = NO_ENTRY;
      if (fate[row] !== FATE_SEAL) continue;
      const slot = slots[row];
      if (slot >= this.#maxPeers || this.#settings[slot] === undefined) {
        this.#drop(vector, row, DROP_UNKNOWN_PEER);
        continue;
      }
      const entry = this.#sendEntry[slot];
      if (entry < 0) {
        this.#drop(vector, row, DROP_NO_SEND_KEY);
        continue;
      }
      // A super-packet takes an id for each of its segments.
      const last = lastPacketId[entry] + segments[row];
      if (last > LAST_PACKET_ID) {
        this.#drop(vector, row, DROP_IDS_EXHAUSTED);
        continue;
      }
      packetIdLow[row] = lastPacketId[entry] + 1;
      lastPacketId[entry] = last;
      if (this.#mss[slot] !== 0) clampMss(bytes, offset[row], length[row], this.#mss[slot]);
      key[row] = sealHandle[entry];
      rowEntry[row] = entry;
      rowBytes[row] = length[row];
      chosen += 1;
    }
    return chosen;
  }

  #takeSealed(now: Instant, vector: PacketVector, isPayload: boolean): void {
    const rowEntry = this.#rowEntry;
    const rowBytes = this.#rowBytes;
    const { fate, length, key, segments } = vector;
    for (let row = 0; row < vector.count; row++) {
      const entry = rowEntry[row];
      if (entry === NO_ENTRY) continue;
      const slot = Math.floor(entry / KEYS_PER_PEER);
      key[row] = NO_KEY;
      if (fate[row] !== FATE_TO_LINK) {
        this.#drop(vector, row, DROP_NOT_SEALED);
        continue;
      }
      this.#counters.sent(slot, segments[row], length[row]);
      this.#raise(slot, entry, this.#keys.countSealed(entry, segments[row], rowBytes[row], length[row]));
      this.#timers.lastSent[slot] = now;
      if (isPayload) {
        this.#counters.payloadOut(slot, rowBytes[row]);
        this.#timers.noteActivity(slot, rowBytes[row], now);
      }
    }
  }

  #raise(slot: number, entry: number, bits: number): void {
    if (bits === 0 || entry !== this.#newestEntry[slot]) return;
    const fresh = this.#keys.sayOnce(entry, bits);
    if (fresh !== 0) this.#signals.raise(slot, fresh);
  }

  #drop(vector: PacketVector, row: number, code: number): void {
    vector.fate[row] = FATE_DROPPED;
    this.#drops[code] += 1;
  }

  /** The scratch columns, as long as the vector: they grow once for each larger vector that comes. */
  #rowEntries(vector: PacketVector): Int32Array {
    if (this.#rowEntry.length < vector.capacity) {
      this.#rowEntry = new Int32Array(vector.capacity);
      this.#rowBytes = new Uint32Array(vector.capacity);
    }
    return this.#rowEntry;
  }

  #settingsOf(slot: number): PeerSettings {
    const settings = this.#settings[slot];
    if (settings === undefined) throw new RangeError(`no peer in slot ${slot}`);
    return settings;
  }
}

function entryOf(slot: number, keyId: number): number {
  if (!(keyId >= 0 && keyId < KEYS_PER_PEER)) throw new RangeError(`no key id ${keyId}`);
  return slot * KEYS_PER_PEER + keyId;
}

function dropOf(verdict: ReplayVerdict): number {
  if (verdict === REPLAY_ZERO) return DROP_ID_ZERO;
  return verdict === REPLAY_SEEN ? DROP_ID_SEEN : DROP_ID_TOO_OLD;
}
