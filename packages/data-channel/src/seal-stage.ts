import { FATE_SEAL, FATE_TO_LINK, NO_KEY, PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { DROP_IDS_EXHAUSTED, DROP_NO_SEND_KEY, DROP_NOT_FRAMED, DROP_NOT_SEALED, DROP_UNKNOWN_PEER } from './drops.js';
import type { Flows } from './flows.js';
import { KEYS_PER_PEER, NO_ENTRY } from './key-slots.js';
import { clampMss } from './mss-clamp.js';
import { LAST_PACKET_ID } from './packet-id-counter.js';
import { type PeerTable, RowScratch } from './peer-table.js';
import type { AeadBackend } from './ports.js';
import { ROW_SEALED } from './row-cipher.js';
import { splitSuperPacket } from './super-packet.js';

/** A full vector of packets of which each becomes four fragments. */
const MAX_WAITING_FRAGMENTS = 256;

/** Rows SEAL → TO_LINK or DROPPED. */
export class SealStage {
  readonly #backend: AeadBackend;
  readonly #peers: PeerTable;
  readonly #scratch: RowScratch = new RowScratch();
  /** Fragments that did not fit into the vector of their packet; those before `#flushed` have gone. */
  #overflow: PacketVector | undefined;
  #flushed = 0;

  readonly #flows: Flows | undefined;

  constructor(backend: AeadBackend, peers: PeerTable, flows: Flows | undefined) {
    this.#backend = backend;
    this.#peers = peers;
    this.#flows = flows;
  }

  /** `isPayload`: the rows are inner packets, which count as activity; false for the channel's own. */
  run(now: Instant, vector: PacketVector, isPayload: boolean): void {
    const { framedPeers, keys } = this.#peers;
    const isPlain = framedPeers > 0 || keys.rowCipherCount > 0 || this.#backend.sealsSuperPackets !== true;
    if (isPlain) this.#makePlain(vector);
    if (framedPeers > 0) this.#frame(vector);
    this.#sealFramed(now, vector, isPayload);
  }

  /** Gives each packet a row of its own, with room around it, where the peer's stages ask for it. Packets to one peer keep their order. */
  #makePlain(vector: PacketVector): void {
    const peers = this.#peers;
    const everywhere = this.#backend.sealsSuperPackets !== true;
    const count = vector.count;
    let hasSplit = false;
    for (let row = 0; row < count; row++) {
      if (vector.fate[row] !== FATE_SEAL) continue;
      const slot = vector.slot[row];
      if (slot >= peers.maxPeers) continue;
      const entry = peers.sendEntry[slot];
      const isOwn = peers.framings[slot] !== undefined || (entry >= 0 && peers.keys.rowCiphers[entry] !== undefined);
      if (!everywhere && !isOwn) continue;
      let isPlaced: boolean;
      if (vector.segments[row] > 1) {
        isPlaced = splitSuperPacket(vector, row);
        if (isPlaced) {
          hasSplit = true;
          vector.drop(row);
        }
      } else if (hasSplit) {
        // What was split stands at the end now; what comes behind it goes there too.
        isPlaced = moveToEnd(vector, row);
      } else {
        isPlaced = vector.settle(row);
      }
      if (!isPlaced) peers.drop(vector, row, DROP_NOT_SEALED);
    }
  }

  /** Whether fragments wait that did not fit into the vector of their packet. */
  get hasWaiting(): boolean {
    return this.#overflow !== undefined && this.#overflow.count > 0;
  }

  /** Appends fragments that wait to `out`, sealed, as far as there is room. */
  flush(now: Instant, out: PacketVector): void {
    const overflow = this.#overflow;
    if (overflow === undefined) return;
    for (; this.#flushed < overflow.count; this.#flushed++) {
      const row = out.appendCopy(overflow.packet(this.#flushed));
      if (row < 0) break;
      out.slot[row] = overflow.slot[this.#flushed];
      out.fate[row] = FATE_SEAL;
      out.trafficClass[row] = overflow.trafficClass[this.#flushed];
    }
    if (this.#flushed === overflow.count) {
      overflow.reset();
      this.#flushed = 0;
    }
    this.#sealFramed(now, out, true);
  }

  /** Frames the rows of peers that have a framing. Rows that it appends are framed already. */
  #frame(vector: PacketVector): void {
    const peers = this.#peers;
    const count = vector.count;
    for (let row = 0; row < count; row++) {
      if (vector.fate[row] !== FATE_SEAL) continue;
      const framing = peers.framings[vector.slot[row]];
      if (framing === undefined) continue;
      if (peers.mss[vector.slot[row]] !== 0) {
        clampMss(vector.bytes, vector.offset[row], vector.length[row], peers.mss[vector.slot[row]]);
      }
      this.#overflow ??= new PacketVector({
        capacity: MAX_WAITING_FRAGMENTS,
        headroom: vector.headroom,
        packetBytes: vector.packetBytes,
        tailroom: 0,
      });
      if (vector.segments[row] > 1 || !framing.seal(vector, row, this.#overflow)) {
        peers.drop(vector, row, DROP_NOT_FRAMED);
      }
    }
  }

  #sealFramed(now: Instant, vector: PacketVector, isPayload: boolean): void {
    this.#flows?.endSending(vector);
    if (this.#chooseKeys(now, vector) === 0) return;
    this.#backend.sealBatch(vector);
    this.#takeSealed(now, vector, isPayload);
  }

  /** Gives each row that is to be sealed its key and its packet ids. @returns how many there are */
  #chooseKeys(now: Instant, vector: PacketVector): number {
    const peers = this.#peers;
    this.#scratch.fit(vector);
    const rowEntry = this.#scratch.entry;
    const rowBytes = this.#scratch.bytes;
    const { bytes, fate, slot: slots, offset, length, key, packetIdLow, segments } = vector;
    const { lastPacketId, sealHandle } = peers.keys;
    let chosen = 0;
    for (let row = 0; row < vector.count; row++) {
      rowEntry[row] = NO_ENTRY;
      if (fate[row] !== FATE_SEAL) continue;
      const slot = slots[row];
      if (slot >= peers.maxPeers || peers.settings[slot] === undefined) {
        peers.drop(vector, row, DROP_UNKNOWN_PEER);
        continue;
      }
      const entry = peers.sendEntry[slot];
      if (entry < 0) {
        peers.drop(vector, row, DROP_NO_SEND_KEY);
        continue;
      }
      if (peers.mss[slot] !== 0) clampMss(bytes, offset[row], length[row], peers.mss[slot]);
      rowBytes[row] = length[row];
      if (sealHandle[entry] === NO_KEY) {
        if (this.#chooseOther(now, vector, row, entry)) chosen += 1;
        continue;
      }
      // A super-packet takes an id for each of its segments.
      const last = lastPacketId[entry] + segments[row];
      if (last > LAST_PACKET_ID) {
        peers.drop(vector, row, DROP_IDS_EXHAUSTED);
        continue;
      }
      packetIdLow[row] = lastPacketId[entry] + 1;
      lastPacketId[entry] = last;
      key[row] = sealHandle[entry];
      rowEntry[row] = entry;
      chosen += 1;
    }
    return chosen;
  }

  /** Gives a row the key of its epoch, or seals it when the backend does not serve its key. @returns whether that worked */
  #chooseOther(now: Instant, vector: PacketVector, row: number, entry: number): boolean {
    const peers = this.#peers;
    const epochKeys = peers.keys.epochKeys[entry];
    if (epochKeys !== undefined) {
      if (!epochKeys.reserve(vector, row)) {
        peers.drop(vector, row, DROP_IDS_EXHAUSTED);
        return false;
      }
      this.#scratch.entry[row] = entry;
      return true;
    }
    const result = peers.keys.rowCiphers[entry]?.seal(now, vector, row) ?? DROP_NO_SEND_KEY;
    if (result !== ROW_SEALED) {
      peers.drop(vector, row, result);
      return false;
    }
    this.#scratch.entry[row] = entry;
    return true;
  }

  #takeSealed(now: Instant, vector: PacketVector, isPayload: boolean): void {
    const peers = this.#peers;
    const rowEntry = this.#scratch.entry;
    const rowBytes = this.#scratch.bytes;
    const { fate, length, key, segments } = vector;
    for (let row = 0; row < vector.count; row++) {
      const entry = rowEntry[row];
      if (entry === NO_ENTRY) continue;
      const slot = Math.floor(entry / KEYS_PER_PEER);
      key[row] = NO_KEY;
      peers.keys.epochKeys[entry]?.releaseLeft();
      if (fate[row] !== FATE_TO_LINK) {
        peers.drop(vector, row, DROP_NOT_SEALED);
        continue;
      }
      // The blocks of a super-packet: as if all but the tags were encrypted, a little more than it was.
      const payloadBytes = segments[row] > 1 ? length[row] : rowBytes[row];
      peers.noteSealed(now, slot, entry, segments[row], payloadBytes, length[row]);
      if (isPayload) peers.notePayloadOut(now, slot, rowBytes[row]);
    }
  }
}

function moveToEnd(vector: PacketVector, row: number): boolean {
  const length = vector.length[row];
  if (length > vector.packetBytes) return false;
  const moved = vector.append();
  if (moved < 0) return false;
  vector.bytes.copyWithin(vector.offset[moved], vector.offset[row], vector.offset[row] + length);
  vector.length[moved] = length;
  vector.slot[moved] = vector.slot[row];
  vector.fate[moved] = FATE_SEAL;
  vector.trafficClass[moved] = vector.trafficClass[row];
  vector.drop(row);
  return true;
}
