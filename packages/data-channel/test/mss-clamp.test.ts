import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clampMss } from '../src/index.js';

const VECTORS: readonly {
  id: string;
  inputs: { packet: string; mss_fix: number };
  expected: { packet: string; mss?: number };
}[] = JSON.parse(readFileSync(new URL('./vectors/mtu_mss.json', import.meta.url), 'utf8')).vectors;

const toHex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

/** The sum of a TCP segment with its pseudo-header: 0xffff when the checksum is right. */
function tcpSum(packet: Uint8Array): number {
  const ipv6 = packet[0] >> 4 === 6;
  const headerBytes = ipv6 ? 40 : (packet[0] & 15) * 4;
  const addresses = ipv6 ? packet.subarray(8, 40) : packet.subarray(12, 20);
  const segment = packet.subarray(headerBytes);
  let sum = 6 + segment.length;
  for (const part of [addresses, segment]) {
    for (let index = 0; index < part.length; index++) sum += part[index] << (index % 2 === 0 ? 8 : 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

/** A SYN with these option bytes and a right checksum. */
function syn(version: 4 | 6, options: readonly number[], flags = 0x02): Uint8Array {
  const padded = [...options];
  while (padded.length % 4 !== 0) padded.push(1);
  const headerBytes = version === 4 ? 20 : 40;
  const packet = new Uint8Array(headerBytes + 20 + padded.length);
  if (version === 4) {
    packet.set([0x45, 0, 0, packet.length, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 8, 0, 2, 10, 8, 0, 1]);
  } else {
    packet.set([0x60, 0, 0, 0, 0, 20 + padded.length, 6, 64, 0xfd]);
    packet[24] = 0xfd;
  }
  packet.set([0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 0, (5 + padded.length / 4) << 4, flags, 0xff, 0xff], headerBytes);
  packet.set(padded, headerBytes + 20);
  const checksum = ~tcpSum(packet) & 0xffff;
  packet[headerBytes + 16] = checksum >> 8;
  packet[headerBytes + 17] = checksum & 0xff;
  return packet;
}

describe('mss clamp: known answers', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.id.startsWith('clamp-'))) {
    it(id, () => {
      const packet = Uint8Array.from(Buffer.from(inputs.packet, 'hex'));
      const changed = clampMss(packet, 0, packet.length, inputs.mss_fix);
      expect(toHex(packet)).toBe(expected.packet);
      expect(changed).toBe(inputs.packet !== expected.packet);
    });
  }
});

describe('mss clamp', () => {
  for (const version of [4, 6] as const) {
    it(`IPv${version}: keeps the checksum right, wherever the option stands`, () => {
      for (let nops = 0; nops < 8; nops++) {
        for (const mss of [1337, 1460, 9000, 0xffff]) {
          const packet = syn(version, [...new Array<number>(nops).fill(1), 2, 4, mss >> 8, mss & 0xff]);
          expect(tcpSum(packet)).toBe(0xffff);
          expect(clampMss(packet, 0, packet.length, 1336)).toBe(true);
          expect(tcpSum(packet)).toBe(0xffff);
        }
      }
    });
  }

  it('looks at SYN and SYN+ACK, and at nothing else', () => {
    for (const [flags, changes] of [
      [0x02, true],
      [0x12, true],
      [0x10, false],
      [0x18, false],
      [0x04, false],
    ] as const) {
      const packet = syn(4, [2, 4, 0x05, 0xb4], flags);
      expect(clampMss(packet, 0, packet.length, 1000)).toBe(changes);
    }
  });

  it('leaves fragments, other protocols and other versions alone', () => {
    const original = syn(4, [2, 4, 0x05, 0xb4]);
    for (const [index, value] of [
      [0, 0x55],
      [7, 1],
      [6, 0x1f],
      [9, 17],
    ] as const) {
      const packet = Uint8Array.from(original);
      packet[index] = value;
      const before = toHex(packet);
      expect(clampMss(packet, 0, packet.length, 1000)).toBe(false);
      expect(toHex(packet)).toBe(before);
    }
    expect(clampMss(Uint8Array.from(original), 0, original.length, 1000)).toBe(true);
  });

  it('touches nothing outside the packet, and nothing but MSS and checksum inside', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 120 }),
        fc.constantFrom(0x45, 0x46, 0x4f, 0x60, 0x00, undefined),
        fc.nat(1500),
        (noise, first, mss) => {
          const slab = new Uint8Array(noise.length + 40).fill(0xa5);
          slab.set(noise, 20);
          // Most noise would fail at the first look: help it along.
          if (first !== undefined && noise.length > 34) {
            slab[20] = first;
            slab[26] = first === 0x60 ? 6 : 0;
            slab[27] = 0;
            slab[29] = 6;
          }
          const before = Uint8Array.from(slab);
          clampMss(slab, 20, noise.length, mss);
          let differences = 0;
          for (let index = 0; index < slab.length; index++) {
            if (slab[index] === before[index]) continue;
            differences += 1;
            expect(index >= 40 && index < 20 + noise.length).toBe(true);
          }
          // An MSS and a checksum; more only when the noise holds several MSS options.
          expect(differences).toBeLessThanOrEqual(2 + 2 * 10);
        },
      ),
      { seed: 1, numRuns: 3000 },
    );
  });
});
