import { FATE_INNER, FATE_SEAL, PacketVector } from '@openvpnd/memory';
import { expect, it } from 'vitest';
import { noteTrafficClass } from '../src/index.js';

it('notes the TOS of IPv4 and the traffic class of IPv6, of packets that are to be sealed and of nothing else', () => {
  const vector = new PacketVector({ capacity: 8, headroom: 0, packetBytes: 64, tailroom: 0 });
  const packets: readonly (readonly [bytes: readonly number[], fate: number, traffic: number])[] = [
    [[0x45, 0xb8, 0, 40], FATE_SEAL, 0xb8],
    [[0x6b, 0x81, 2, 3], FATE_SEAL, 0xb8],
    [[0x60, 0x01, 2, 3], FATE_SEAL, 0],
    [[0x45, 0xb8, 0, 40], FATE_INNER, 0],
    [[0x15, 0xb8], FATE_SEAL, 0],
    [[0x45], FATE_SEAL, 0],
    [[], FATE_SEAL, 0],
  ];
  for (const [bytes, fate] of packets) vector.fate[vector.appendCopy(Uint8Array.from(bytes))] = fate;
  noteTrafficClass(vector);
  expect([...vector.trafficClass.slice(0, packets.length)]).toEqual(packets.map(([, , traffic]) => traffic));
});
