import './native-build.js';
import { execFileSync } from 'node:child_process';
import { ADDRESS_LINK, ADDRESS_WORDS, FATE_DROPPED, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { expect, it } from 'vitest';
import { openUdpLink } from '../src/index.js';
import { describeInNamespace } from './namespace.js';

const LOOPBACK = { family: 4, address: '127.0.0.1', port: 0 } as const;
const PACKETS = 20;
const SHAPE = { capacity: 64, headroom: 0, packetBytes: 2000, tailroom: 0, arenaBytes: 65_536 };

describeInNamespace(import.meta.url, () => {
  for (const isRun of [false, true]) {
    it(`datagrams larger than the path are sent plainly and fragmented, ${isRun ? 'in a run' : 'row by row'}`, async () => {
      // UDP_SEGMENT refuses segments above the MTU (EMSGSIZE, EINVAL), also where a single datagram would be fragmented.
      execFileSync('ip', ['link', 'set', 'lo', 'up', 'mtu', '1000']);
      const a = openUdpLink({ id: 1, local: LOOPBACK, offload: { gso: true, gro: true } });
      const b = openUdpLink({ id: 2, local: LOOPBACK, offload: { gso: true, gro: true } });
      try {
        const to = b.localAddress();
        to[ADDRESS_LINK] = a.id;
        for (const bytes of [1400, 900]) {
          const tx = new PacketVector(SHAPE);
          for (let index = 0; index < PACKETS; index += isRun ? PACKETS : 1) {
            const row = tx.append();
            const count = isRun ? PACKETS : 1;
            if (isRun) tx.offset[row] = tx.capacity * tx.strideBytes;
            tx.length[row] = count * bytes;
            tx.segments[row] = count;
            tx.segmentBytes[row] = isRun ? bytes : 0;
            for (let part = 0; part < count; part += 1) tx.bytes[tx.offset[row] + part * bytes] = index + part;
            tx.fate[row] = FATE_TO_LINK;
            tx.addresses.set(to, row * ADDRESS_WORDS);
          }
          expect(a.sendBatch(tx)).toBe(true);
          expect(tx.fate[0]).toBe(FATE_DROPPED);
          const seen: number[][] = [];
          const rx = new PacketVector(SHAPE);
          for (let turns = 0; turns < 100_000 && seen.length < PACKETS; turns += 1) {
            rx.reset();
            b.receiveBatch(rx);
            for (let row = 0; row < rx.count; row += 1) seen.push([rx.bytes[rx.offset[row]], rx.length[row]]);
            await new Promise((resolve) => setImmediate(resolve));
          }
          expect(seen).toEqual(Array.from({ length: PACKETS }, (_, index) => [index, bytes]));
        }
        expect(a.counters().sendErrors).toBe(0);
      } finally {
        a.close();
        b.close();
      }
    });
  }
});
