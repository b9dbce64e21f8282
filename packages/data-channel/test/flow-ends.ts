import { epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_DEVICE, FATE_TO_LINK, type PacketVector } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { expect } from 'vitest';
import { DataChannel, FLOW_RECEIVES, FLOW_SENDS, type PeerSettings } from '../src/index.js';
import { ClearBackend } from './clear-backend.js';
import type { StandInFlows } from './stand-in-flows.js';
import { keysFor, makeVector } from './two-ends.js';

export const SLOT = 3;
export const SENDS = SLOT * 2 + FLOW_SENDS;
export const RECEIVES = SLOT * 2 + FLOW_RECEIVES;
export const SEED = Number(process.env.OPENVPND_FUZZ_SEED ?? '1');

/** An end whose peer shares key 0, with flows or without. */
export function makeEnd(
  role: 'client' | 'server',
  flows?: StandInFlows,
  settings: PeerSettings = {},
  epoch = false,
  aeadLimits = { usage: 2 ** 36, failures: 2 ** 36 },
): DataChannel {
  const channel = new DataChannel({
    backend: new ClearBackend(),
    maxPeers: 8,
    epochDerivation: { nextEpochSecret, epochDataKey },
    aeadLimits,
    random: new SeededRandom(SEED),
    flows,
  });
  channel.addPeer(SLOT, settings, 0);
  channel.installKeys(SLOT, 0, keysFor(role), { peerId: 5, epoch });
  channel.sendWith(SLOT, 0);
  return channel;
}

export function vectorOf(packets: readonly Uint8Array[], fate: number): PacketVector {
  const vector = makeVector();
  for (const packet of packets) {
    const row = vector.appendCopy(packet);
    vector.slot[row] = SLOT;
    vector.fate[row] = fate;
  }
  return vector;
}

/** A turn of the loop as the tunnels have it. @returns the sealed packets */
export function sendTurn(
  channel: DataChannel,
  now: number,
  packets: readonly Uint8Array[],
  repeats = true,
): Uint8Array[] {
  const vector = vectorOf(packets, FATE_SEAL);
  channel.sealBatch(now, vector, repeats);
  channel.offerSent(vector);
  expect([...vector.fate.subarray(0, vector.count)]).toEqual(packets.map(() => FATE_TO_LINK));
  return packets.map((_, row) => Uint8Array.from(vector.packet(row)));
}

export function receiveTurn(channel: DataChannel, now: number, packets: readonly Uint8Array[]): number {
  const vector = vectorOf(packets, FATE_OPEN);
  channel.openBatch(now, vector);
  let arrived = 0;
  for (let row = 0; row < vector.count; row++) {
    if (vector.fate[row] !== FATE_INNER) continue;
    vector.fate[row] = FATE_TO_DEVICE;
    arrived += 1;
  }
  channel.offerReceived(vector);
  return arrived;
}

export function sentId(packet: Uint8Array, epoch: boolean): bigint {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  return epoch ? view.getBigUint64(4) : BigInt(view.getUint32(4));
}
