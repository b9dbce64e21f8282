import { type DataChannelKeys, dataChannelKeys, epochDataKey, findDataCipher, nextEpochSecret } from '@openvpnd/keygen';
import { FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { Secret } from '@openvpnd/sans-io';
import { DataChannel, type DataKeyOptions, type DataSignal, type PeerSettings } from '../src/index.js';
import { ClearBackend } from './clear-backend.js';

export function keysFor(role: 'client' | 'server', seed = 1, cipher = 'AES-256-GCM'): DataChannelKeys {
  const found = findDataCipher(cipher);
  if (found === undefined) throw new Error(cipher);
  return dataChannelKeys(new Secret(Uint8Array.from({ length: 256 }, (_, index) => index * seed + seed)), found, role);
}

export function makeVector(capacity = 64): PacketVector {
  return new PacketVector({ capacity, headroom: DataChannel.needs.headroom, packetBytes: 2048, tailroom: 0 });
}

/** An inner packet that looks like none of the data channel's own. */
export function payload(length = 100, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index === 0 ? 0x45 : (index * seed) & 0xff));
}

/** A client and a server that share key 0 and send with it; each has the other in slot 3. */
export function twoEnds(
  settings: PeerSettings = {},
  peerId: number | null = 5,
  mss = 0,
  epoch = false,
): {
  client: DataChannel;
  server: DataChannel;
} {
  const epochDerivation = { nextEpochSecret, epochDataKey };
  const client = new DataChannel({ backend: new ClearBackend(), maxPeers: 8, epochDerivation });
  const server = new DataChannel({ backend: new ClearBackend(), maxPeers: 8, epochDerivation });
  const options: DataKeyOptions = peerId === null ? { mss } : { peerId, mss, epoch };
  for (const [end, role] of [
    [client, 'client'],
    [server, 'server'],
  ] as const) {
    end.addPeer(3, settings, 0);
    end.installKeys(3, 0, keysFor(role), options);
    end.sendWith(3, 0);
  }
  return { client, server };
}

/** Seals packets for slot 3, one row each; rows that were dropped are undefined. */
export function seal(
  channel: DataChannel,
  now: number,
  packets: readonly Uint8Array[],
  slot = 3,
): (Uint8Array | undefined)[] {
  const vector = makeVector();
  for (const packet of packets) {
    const row = vector.appendCopy(packet);
    vector.slot[row] = slot;
    vector.fate[row] = FATE_SEAL;
  }
  channel.sealBatch(now, vector);
  return packets.map((_, row) => (vector.fate[row] === FATE_TO_LINK ? Uint8Array.from(vector.packet(row)) : undefined));
}

export function sealOne(channel: DataChannel, now: number, packet: Uint8Array, slot = 3): Uint8Array {
  const sealed = seal(channel, now, [packet], slot)[0];
  if (sealed === undefined) throw new Error('not sealed');
  return sealed;
}

/** Opens packets from slot 3; rows that were dropped are undefined. */
export function open(
  channel: DataChannel,
  now: number,
  packets: readonly Uint8Array[],
  slot = 3,
): (Uint8Array | undefined)[] {
  const vector = makeVector();
  for (const packet of packets) {
    const row = vector.appendCopy(packet);
    vector.slot[row] = slot;
    vector.fate[row] = FATE_OPEN;
  }
  channel.openBatch(now, vector);
  return packets.map((_, row) => (vector.fate[row] === FATE_INNER ? Uint8Array.from(vector.packet(row)) : undefined));
}

export function openOne(channel: DataChannel, now: number, packet: Uint8Array, slot = 3): Uint8Array | undefined {
  return open(channel, now, [packet], slot)[0];
}

/** The signals that are waiting, without those that any first packet or refused packet raises. */
export function rareSignals(channel: DataChannel): readonly DataSignal[] {
  return channel.takeSignals().filter(({ type }) => type !== 'key-in-use' && type !== 'refused');
}
