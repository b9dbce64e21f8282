import { FATE_OPEN, FATE_SEAL, NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { epochCounter } from './epoch-keys.js';
import { NO_ENTRY } from './key-slots.js';
import { LAST_PACKET_ID } from './packet-id-counter.js';
import type { PeerTable } from './peer-table.js';
import { FLOW_RECEIVES, FLOW_SENDS, type FlowOffload } from './ports.js';

/** Packets for one grant. Then one goes through the data channel again, which looks at everything anew. */
export const FLOW_PACKETS = 32;
/** A peer from whom, or to whom, something passed more recently is not idle: then vectors serve it better. */
export const FLOW_SILENCE_MS = 1;

const NOT_GRANTED = -1;

/**
 * The flows of all peers: grants them, accounts for what they carried, and ends them before the data channel itself handles packets of the same peer and direction.
 * Ids of packets to be sent are taken out of the peer's before they are granted, so that none can be used twice.
 */
export class Flows {
  readonly #offload: FlowOffload;
  readonly #peers: PeerTable;
  /** By name: where the flow is, and the entry of its key. */
  readonly #place: Int16Array;
  readonly #entry: Int32Array;
  #granted = 0;

  constructor(offload: FlowOffload, peers: PeerTable) {
    this.#offload = offload;
    this.#peers = peers;
    this.#place = new Int16Array(peers.maxPeers * 2).fill(NOT_GRANTED);
    this.#entry = new Int32Array(peers.maxPeers * 2).fill(NO_ENTRY);
  }

  /** Accounts for what was carried. To be called before anything looks at a peer's state or changes it. */
  settle(): void {
    this.#offload.drain(this.#account);
  }

  /** Ends the flows of one peer. */
  end(slot: number): void {
    this.#end(slot * 2 + FLOW_RECEIVES);
    this.#end(slot * 2 + FLOW_SENDS);
  }

  /** Ends those flows that would take packets such as the rows OPEN of a vector. */
  endReceiving(vector: PacketVector): void {
    if (this.#granted > 0) this.#endOf(vector, FATE_OPEN, FLOW_RECEIVES);
  }

  /** Ends those flows that would take packets such as the rows SEAL of a vector. */
  endSending(vector: PacketVector): void {
    if (this.#granted > 0) this.#endOf(vector, FATE_SEAL, FLOW_SENDS);
  }

  /** Grants a flow for packets like the one in row 0, which was opened under that entry's key. */
  grantReceiving(vector: PacketVector, entry: number): void {
    const slot = vector.slot[0];
    const { keys } = this.#peers;
    const epochKeys = keys.epochKeys[entry];
    const key = epochKeys === undefined ? keys.openHandleV2[entry] : epochKeys.receiveHandle(vector.packetIdHigh[0]);
    // A flow takes what is above the last id: after a late packet, those above it may have come already.
    const window = epochKeys === undefined ? keys.windows[entry] : epochKeys.windowOf(vector.packetIdHigh[0]);
    const id =
      epochKeys === undefined ? vector.packetIdLow[0] : epochCounter(vector.packetIdHigh[0], vector.packetIdLow[0]);
    if (key === NO_KEY || window?.highest !== id || !window.allowsGaps || this.#isOwn(slot)) return;
    const flow = slot * 2 + FLOW_RECEIVES;
    this.#keep(flow, entry, this.#offload.receive(vector, key, flow, FLOW_PACKETS));
  }

  /** Whether a flow could take packets like the one in row 0, which is about to be sealed. */
  note(vector: PacketVector): boolean {
    return !this.#isOwn(vector.slot[0]) && this.#offload.note(vector);
  }

  /** Grants a flow for packets like the one that was noted, which is sealed now in row 0. */
  grantSending(vector: PacketVector): void {
    const slot = vector.slot[0];
    const { keys, sendEntry } = this.#peers;
    const entry = sendEntry[slot];
    const flow = slot * 2 + FLOW_SENDS;
    const epochKeys = keys.epochKeys[entry];
    let place = NOT_GRANTED;
    if (epochKeys !== undefined) {
      if (!epochKeys.lend(FLOW_PACKETS)) return;
      place = this.#offload.send(
        vector,
        epochKeys.sendHandle,
        flow,
        epochKeys.lentHigh,
        epochKeys.lentLow,
        FLOW_PACKETS,
      );
    } else {
      const first = keys.lastPacketId[entry] + 1;
      if (keys.sealHandle[entry] === NO_KEY || keys.lastPacketId[entry] + FLOW_PACKETS > LAST_PACKET_ID) return;
      keys.lastPacketId[entry] += FLOW_PACKETS;
      place = this.#offload.send(vector, keys.sealHandle[entry], flow, 0, first, FLOW_PACKETS);
    }
    if (place === NOT_GRANTED) this.#giveBack(entry, FLOW_PACKETS);
    else this.#keep(flow, entry, place);
  }

  /** Whether the peer's packets have a form of their own. */
  #isOwn(slot: number): boolean {
    return this.#peers.framings[slot] !== undefined || this.#peers.staticKey[slot] === 1;
  }

  #keep(flow: number, entry: number, place: number): void {
    if (place === NOT_GRANTED) return;
    this.#place[flow] = place;
    this.#entry[flow] = entry;
    this.#granted += 1;
  }

  #end(flow: number): void {
    if (this.#place[flow] === NOT_GRANTED) return;
    const left = this.#offload.revoke(this.#place[flow], flow);
    this.#place[flow] = NOT_GRANTED;
    this.#granted -= 1;
    if (flow % 2 === FLOW_SENDS) this.#giveBack(this.#entry[flow], left);
  }

  #endOf(vector: PacketVector, fate: number, direction: number): void {
    for (let row = 0; row < vector.count; row++) {
      const slot = vector.slot[row];
      if (vector.fate[row] === fate && slot < this.#peers.maxPeers) this.#end(slot * 2 + direction);
    }
  }

  /** Ids that were not used: nobody else has got any meanwhile. */
  #giveBack(entry: number, packets: number): void {
    const { keys } = this.#peers;
    const epochKeys = keys.epochKeys[entry];
    if (epochKeys !== undefined) epochKeys.giveBack(packets);
    else keys.lastPacketId[entry] -= packets;
  }

  readonly #account = (
    flow: number,
    idHigh: number,
    idLow: number,
    payloadBytes: number,
    wireBytes: number,
    at: Instant,
  ): void => {
    const peers = this.#peers;
    const slot = Math.floor(flow / 2);
    const entry = this.#entry[flow];
    const epochKeys = peers.keys.epochKeys[entry];
    if (flow % 2 === FLOW_SENDS) {
      epochKeys?.countLent(payloadBytes);
      peers.noteSealed(at, slot, entry, 1, payloadBytes, wireBytes);
      peers.notePayloadOut(at, slot, payloadBytes);
      return;
    }
    peers.noteOpened(slot, entry, payloadBytes, wireBytes);
    // Above all that came before, so that it is fresh.
    if (epochKeys !== undefined) epochKeys.acceptId(at, idHigh, idLow, payloadBytes);
    else peers.keys.windows[entry]?.accept(at, idLow);
    peers.timers.lastReceived[slot] = at;
    peers.notePayloadIn(at, slot, payloadBytes);
  };
}
