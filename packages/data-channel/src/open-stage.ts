import { FATE_CONSUMED, FATE_INNER, FATE_OPEN, NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import {
  DATA_V1_HEADER_BYTES,
  DATA_V2_HEADER_BYTES,
  isOcc,
  isPing,
  keyIdOf,
  opcodeOf,
  P_DATA_V1,
  P_DATA_V2,
  parseOccMessage,
} from '@openvpnd/wire';
import {
  DROP_BAD_FRAMING,
  DROP_ID_SEEN,
  DROP_ID_TOO_OLD,
  DROP_ID_ZERO,
  DROP_NO_KEY,
  DROP_NOT_AUTHENTIC,
  DROP_NOT_DATA,
  DROP_TOO_SHORT,
  DROP_UNKNOWN_PEER,
} from './drops.js';
import type { Flows } from './flows.js';
import { KEYS_PER_PEER, NO_ENTRY } from './key-slots.js';
import { clampMss } from './mss-clamp.js';
import { type PeerTable, RowScratch } from './peer-table.js';
import type { AeadBackend } from './ports.js';
import { REPLAY_ACCEPTED, REPLAY_SEEN, REPLAY_ZERO, type ReplayVerdict } from './replay-window.js';

/** Rows OPEN → INNER, CONSUMED or DROPPED. */
export class OpenStage {
  readonly #backend: AeadBackend;
  readonly #peers: PeerTable;
  readonly #scratch: RowScratch = new RowScratch();

  readonly #flows: Flows | undefined;
  /** Of a payload that came alone: the entry of its key, NO_ENTRY when none did; and how long nothing had come of its peer before. */
  loneEntry: number = NO_ENTRY;
  loneSilence = 0;

  constructor(backend: AeadBackend, peers: PeerTable, flows: Flows | undefined) {
    this.#backend = backend;
    this.#peers = peers;
    this.#flows = flows;
  }

  run(now: Instant, vector: PacketVector): void {
    this.loneEntry = NO_ENTRY;
    this.#flows?.endReceiving(vector);
    if (this.#chooseKeys(vector) === 0) return;
    this.#backend.openBatch(vector);
    this.#takeOpened(now, vector);
  }

  /** Gives each row that is to be opened its key. @returns how many there are */
  #chooseKeys(vector: PacketVector): number {
    const peers = this.#peers;
    this.#scratch.fit(vector);
    const rowEntry = this.#scratch.entry;
    const rowBytes = this.#scratch.bytes;
    const { bytes, fate, slot: slots, offset, length, key } = vector;
    const keys = peers.keys;
    let chosen = 0;
    for (let row = 0; row < vector.count; row++) {
      rowEntry[row] = NO_ENTRY;
      if (fate[row] !== FATE_OPEN) continue;
      const slot = slots[row];
      if (slot >= peers.maxPeers || peers.settings[slot] === undefined) {
        peers.drop(vector, row, DROP_UNKNOWN_PEER);
        continue;
      }
      if (length[row] === 0) {
        peers.drop(vector, row, DROP_TOO_SHORT);
        continue;
      }
      const first = bytes[offset[row]];
      const opcode = opcodeOf(first);
      const entry = slot * KEYS_PER_PEER + keyIdOf(first);
      if (opcode === P_DATA_V2) {
        key[row] = keys.openHandleV2[entry];
      } else if (opcode === P_DATA_V1) {
        key[row] = keys.openHandleV1[entry];
      } else {
        if (peers.staticKey[slot] === 0) {
          peers.drop(vector, row, DROP_NOT_DATA);
          continue;
        }
        key[row] = NO_KEY;
      }
      if (key[row] === NO_KEY) {
        if (this.#chooseOther(vector, row, entry, opcode)) chosen += 1;
        continue;
      }
      rowEntry[row] = entry;
      rowBytes[row] = length[row];
      chosen += 1;
    }
    return chosen;
  }

  /**
   * Gives a row its key at first sight of such a packet, or that of its epoch, or opens it when the backend does not serve its key.
   *
   * @returns whether there is one
   */
  #chooseOther(vector: PacketVector, row: number, entryByOpcode: number, opcode: number): boolean {
    const peers = this.#peers;
    const isStatic = peers.staticKey[vector.slot[row]] === 1;
    const entry = isStatic ? vector.slot[row] * KEYS_PER_PEER : entryByOpcode;
    this.#scratch.bytes[row] = vector.length[row];
    const epochKeys = peers.keys.epochKeys[entry];
    if (epochKeys !== undefined) {
      this.#scratch.entry[row] = entry;
      // Without a key the row stays as it is, and counts as not authentic.
      if (opcode === P_DATA_V2) vector.key[row] = epochKeys.choose(vector, row);
      return true;
    }
    const cipher = peers.keys.rowCiphers[entry];
    if (cipher === undefined) {
      vector.key[row] = peers.keys.openHandle(entry, opcode);
      if (vector.key[row] === NO_KEY) {
        peers.drop(vector, row, DROP_NO_KEY);
        return false;
      }
      this.#scratch.entry[row] = entry;
      return true;
    }
    this.#scratch.entry[row] = entry;
    const prefixBytes = opcode === P_DATA_V2 ? DATA_V2_HEADER_BYTES : DATA_V1_HEADER_BYTES;
    if (cipher.open(vector, row, isStatic ? 0 : prefixBytes)) vector.fate[row] = FATE_INNER;
    return true;
  }

  /** Judges the rows that the backend has opened or refused. */
  #takeOpened(now: Instant, vector: PacketVector): void {
    const peers = this.#peers;
    const rowEntry = this.#scratch.entry;
    const rowBytes = this.#scratch.bytes;
    const { bytes, fate, offset, length, key, packetIdLow } = vector;
    const keys = peers.keys;
    const isFramed = peers.framedPeers > 0;
    for (let row = 0; row < vector.count; row++) {
      const entry = rowEntry[row];
      if (entry === NO_ENTRY) continue;
      const slot = Math.floor(entry / KEYS_PER_PEER);
      key[row] = NO_KEY;
      if (fate[row] !== FATE_INNER) {
        peers.drop(vector, row, DROP_NOT_AUTHENTIC);
        peers.counters.notAuthentic(slot);
        keys.epochKeys[entry]?.countFailure(vector, row);
        peers.raise(slot, entry, keys.countFailure(entry));
        peers.refuse(now, slot, entry, 'not-authentic', 0, 0);
        continue;
      }
      peers.noteOpened(slot, entry, length[row], rowBytes[row]);
      const window = keys.windows[entry];
      const verdict =
        window === undefined ? this.#acceptRow(now, vector, row, entry) : window.accept(now, packetIdLow[row]);
      if (verdict !== REPLAY_ACCEPTED) {
        peers.drop(vector, row, dropOf(verdict));
        peers.counters.replayed(slot);
        this.#tellReplay(now, vector, row, entry);
        continue;
      }
      const silence = now - peers.timers.lastReceived[slot];
      peers.timers.lastReceived[slot] = now;
      if (keys.inUse[entry] === 0) {
        keys.inUse[entry] = 1;
        peers.signals.raiseKeyInUse(slot, entry % KEYS_PER_PEER);
      }
      if (isFramed && !this.#unframe(now, vector, row, slot)) continue;
      const payloadBytes = length[row];
      if (payloadBytes === 0 || isPing(bytes, offset[row], payloadBytes)) {
        if (payloadBytes !== 0) peers.counters.pingIn(slot);
        fate[row] = FATE_CONSUMED;
        continue;
      }
      if (isOcc(bytes, offset[row], payloadBytes)) {
        this.#hearOcc(slot, vector, row);
        continue;
      }
      peers.notePayloadIn(now, slot, payloadBytes);
      if (vector.count === 1) {
        this.loneEntry = entry;
        this.loneSilence = silence;
      }
      if (peers.mss[slot] !== 0) clampMss(bytes, offset[row], payloadBytes, peers.mss[slot]);
    }
  }

  /** Takes the framing off a row. @returns whether a payload is left */
  #unframe(now: Instant, vector: PacketVector, row: number, slot: number): boolean {
    const framing = this.#peers.framings[slot];
    if (framing === undefined) return true;
    // A packet may become longer.
    if (!vector.settle(row)) {
      this.#peers.drop(vector, row, DROP_BAD_FRAMING);
      return false;
    }
    const outcome = framing.open(now, vector, row);
    if (outcome === 'payload') return true;
    if (outcome === 'waiting') vector.fate[row] = FATE_CONSUMED;
    else this.#peers.drop(vector, row, DROP_BAD_FRAMING);
    return false;
  }

  #acceptRow(now: Instant, vector: PacketVector, row: number, entry: number): ReplayVerdict {
    const { epochKeys, rowCiphers } = this.#peers.keys;
    return (epochKeys[entry] ?? rowCiphers[entry])?.accept(now, vector, row) ?? REPLAY_ZERO;
  }

  #tellReplay(now: Instant, vector: PacketVector, row: number, entry: number): void {
    const peers = this.#peers;
    const slot = Math.floor(entry / KEYS_PER_PEER);
    const low = vector.packetIdLow[row];
    const high = vector.packetIdHigh[row];
    // An epoch counts to 2^48; beside other ids stands the time of the series, if any.
    if (peers.keys.epochKeys[entry] === undefined) peers.refuse(now, slot, entry, 'replay', low, high);
    else peers.refuse(now, slot, entry, 'replay', (high & 0xffff) * 0x1_0000_0000 + low, 0);
  }

  #hearOcc(slot: number, vector: PacketVector, row: number): void {
    const peers = this.#peers;
    const parsed = parseOccMessage(vector.packet(row));
    vector.fate[row] = FATE_CONSUMED;
    if (parsed.ok) peers.signals.raiseOcc(slot, parsed.value);
  }
}

function dropOf(verdict: ReplayVerdict): number {
  if (verdict === REPLAY_ZERO) return DROP_ID_ZERO;
  return verdict === REPLAY_SEEN ? DROP_ID_SEEN : DROP_ID_TOO_OLD;
}
