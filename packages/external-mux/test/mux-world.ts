import {
  EXTERNAL_DROP_CODES,
  type ExternalDropCode,
  ExternalMux,
  type ExternalMuxOptions,
  parseLinkAddress,
} from '@openvpnd/external-mux';
import { ADDRESS_WORDS, FATE_DROPPED, FATE_OPEN, type LinkAddress, PacketVector } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { firstByte, P_DATA_V2 } from '@openvpnd/wire';
import { expect } from 'vitest';

export const UDP = 1;
export const TCP = 2;

export function at(text: string, link = UDP): LinkAddress {
  const address = parseLinkAddress(text, link);
  if (address === undefined) throw new Error(text);
  return address;
}

export const ALICE = at('192.0.2.1:1000');
export const BOB = at('[AF_INET6]2001:db8::2:1000');
export const MALLORY = at('203.0.113.66:666');

export function makeMux(options: Partial<ExternalMuxOptions> = {}): ExternalMux {
  const mux = new ExternalMux({ random: new SeededRandom(1), maxPeers: 8, role: 'server', ...options });
  mux.addPeer(0, ALICE);
  if (options.role !== 'client') mux.addPeer(3, BOB);
  return mux;
}

export function dataV2(peerId: number, keyId = 0, bytes = 60): Uint8Array {
  const packet = new Uint8Array(bytes);
  packet.set([firstByte(P_DATA_V2, keyId), peerId >> 16, peerId >> 8, peerId]);
  return packet;
}

export function packet(opcode: number, keyId = 0, bytes = 60): Uint8Array {
  const result = new Uint8Array(bytes);
  result[0] = firstByte(opcode, keyId);
  return result;
}

export function vectorOf(...rows: readonly (readonly [LinkAddress, Uint8Array])[]): PacketVector {
  const rx = new PacketVector({ capacity: Math.max(1, rows.length), headroom: 32, packetBytes: 2000, tailroom: 0 });
  for (const [address, bytes] of rows) rx.addresses.set(address, rx.appendCopy(bytes) * ADDRESS_WORDS);
  return rx;
}

/** What becomes of one packet: fate and slot, or the code under which it was dropped. */
export function classify(
  mux: ExternalMux,
  address: LinkAddress,
  bytes: Uint8Array,
): [number, number] | ExternalDropCode {
  const before = mux.dropCounts();
  const rx = vectorOf([address, bytes]);
  mux.classifyBatch(0, rx);
  const after = mux.dropCounts();
  const counted = EXTERNAL_DROP_CODES.filter((code) => after[code] !== before[code]);
  if (rx.fate[0] === FATE_DROPPED) {
    expect(counted).toHaveLength(1);
    return counted[0];
  }
  expect(counted).toEqual([]);
  return [rx.fate[0], rx.slot[0]];
}

/** Whom the mux finds floated when everything that it let through got this fate. */
export function heard(mux: ExternalMux, rows: readonly (readonly [LinkAddress, Uint8Array])[], fate: number) {
  const rx = vectorOf(...rows);
  mux.classifyBatch(0, rx);
  for (let row = 0; row < rx.count; row += 1) if (rx.fate[row] === FATE_OPEN) rx.fate[row] = fate;
  return mux.floated(rx);
}
