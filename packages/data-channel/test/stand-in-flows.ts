import { NO_KEY, type PacketVector } from '@openvpnd/memory';
import type { AeadKeyHandle, FlowOffload, FlowPacket } from '../src/index.js';

/** A flow as it was granted: `next` is the id that comes next, on receipt the last one that was seen. */
export interface Grant {
  readonly flow: number;
  readonly key: AeadKeyHandle;
  next: bigint;
  packets: number;
}

/** Flows that carry what a test says, and move no bytes. */
export class StandInFlows implements FlowOffload {
  /** By name. */
  readonly grants: Map<number, Grant> = new Map();
  /** Whether packets are such as it takes. */
  takes = true;
  grantsMade = 0;
  readonly #log: Parameters<FlowPacket>[] = [];

  receive(vector: PacketVector, key: AeadKeyHandle, flow: number, packets: number): number {
    return this.#grant(key, flow, idOf(vector.packetIdHigh[0], vector.packetIdLow[0]), packets);
  }

  note(): boolean {
    return this.takes;
  }

  send(_: PacketVector, key: AeadKeyHandle, flow: number, idHigh: number, idLow: number, packets: number): number {
    return this.#grant(key, flow, idOf(idHigh, idLow), packets);
  }

  revoke(place: number, flow: number): number {
    if (place !== flow) throw new Error('another place than the one that was given');
    const left = this.grants.get(flow)?.packets ?? 0;
    this.grants.delete(flow);
    return left;
  }

  drain(tell: FlowPacket): void {
    for (const entry of this.#log.splice(0)) tell(...entry);
  }

  /** Seals a packet, as far as that can be told. @returns its id; undefined when it is not taken */
  carryOut(flow: number, payloadBytes: number, wireBytes: number, at: number): bigint | undefined {
    const grant = this.grants.get(flow);
    if (grant === undefined || grant.packets === 0) return undefined;
    const id = grant.next;
    grant.next += 1n;
    this.#note(grant, id, payloadBytes, wireBytes, at);
    return id;
  }

  /** Opens a packet with that id. @returns whether it is taken */
  carryIn(flow: number, id: bigint, payloadBytes: number, wireBytes: number, at: number): boolean {
    const grant = this.grants.get(flow);
    if (grant === undefined || grant.packets === 0 || id <= grant.next) return false;
    grant.next = id;
    this.#note(grant, id, payloadBytes, wireBytes, at);
    return true;
  }

  #note(grant: Grant, id: bigint, payloadBytes: number, wireBytes: number, at: number): void {
    grant.packets -= 1;
    this.#log.push([grant.flow, Number(id >> 32n), Number(id & 0xffffffffn), payloadBytes, wireBytes, at]);
  }

  #grant(key: AeadKeyHandle, flow: number, next: bigint, packets: number): number {
    if (!this.takes) return -1;
    if (key === NO_KEY) throw new Error('a flow without a key');
    this.grants.set(flow, { flow, key, next, packets });
    this.grantsMade += 1;
    return flow;
  }
}

export function idOf(high: number, low: number): bigint {
  return (BigInt(high) << 32n) | BigInt(low);
}
