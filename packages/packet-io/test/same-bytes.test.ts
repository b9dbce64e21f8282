import './native-build.js';
import type { AeadBackend, AeadKeyOptions } from '@openvpnd/data-channel';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import { FATE_DROPPED, FATE_INNER, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { nativeBackend } from '../src/index.js';
import { nativeAddon } from '../src/native-addon.js';

const SEED = Number(process.env.OPENVPND_FUZZ_SEED ?? '1');
const ROUNDS = 40;
const ROWS = 48;
/** Around blocks of ciphers, of authenticators and of what libraries take at once; the largest is a jumbo frame. */
const SIZES = [0, 1, 15, 16, 17, 31, 63, 64, 65, 127, 128, 255, 256, 257, 1023, 1400, 1500, 9000];
const EDGE_IDS = [1, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff];

const CIPHERS: readonly (readonly [AeadKeyOptions['cipher'], number])[] = [
  ['AES-128-GCM', 16],
  ['AES-192-GCM', 24],
  ['AES-256-GCM', 32],
  ['CHACHA20-POLY1305', 32],
];

const FORMS: readonly { readonly title: string; readonly prefixBytes: number; readonly layout: 'short' | 'epoch' }[] = [
  { title: 'P_DATA_V1', prefixBytes: 1, layout: 'short' },
  { title: 'P_DATA_V2', prefixBytes: 4, layout: 'short' },
  { title: 'epochs', prefixBytes: 4, layout: 'epoch' },
];

/** What a backend made of a vector: fates, ids and bytes of each row. */
interface Row {
  readonly fate: number;
  readonly packet: string;
  readonly id: readonly number[];
}

const backends: readonly AeadBackend[] = [
  nativeBackend('evp'),
  ...(nativeAddon().multiBuffer().usable ? [nativeBackend('libipsec-mb')] : []),
];

for (const native of backends) {
  describe(`${native.name} and node:crypto`, () => {
    for (const [cipher, keyBytes] of CIPHERS) {
      it.for(FORMS)(
        `${cipher} make the same bytes, and judge changed ones alike: $title`,
        ({ prefixBytes, layout }) => {
          const random = new SeededRandom(SEED);
          const portable = nodeAeadBackend();
          const bytes = (count: number): Uint8Array => {
            const value = new Uint8Array(count);
            random.fill(value);
            return value;
          };
          const key = {
            cipher,
            layout,
            key: bytes(keyBytes),
            implicitIv: bytes(layout === 'epoch' ? 12 : 8),
            prefix: bytes(prefixBytes),
          } as const;
          const handles = [portable, native].map((backend) => ({
            backend,
            seal: backend.installKey({ ...key, direction: 'seal' }),
            open: backend.installKey({ ...key, direction: 'open' }),
          }));
          let dropped = 0;
          for (let round = 0; round < ROUNDS; round += 1) {
            const plain = Array.from({ length: 1 + random.below(ROWS) }, () => ({
              packet: bytes(random.chance(0.5) ? SIZES[random.below(SIZES.length)] : random.below(2000)),
              id: random.chance(0.2) ? EDGE_IDS[random.below(EDGE_IDS.length)] : random.uint32(),
              high: random.uint32(),
            }));
            const [sealed, same] = handles.map(({ backend, seal }) =>
              run(plain, FATE_SEAL, seal, (rows) => backend.sealBatch(rows)),
            );
            expect(same).toEqual(sealed);
            expect(sealed.every(({ fate }) => fate === FATE_TO_LINK)).toBe(true);
            const arrived = sealed.map(({ packet }) => ({
              packet: damaged(random, Buffer.from(packet, 'hex')),
              id: 0,
              high: 0,
            }));
            const [opened, alike] = handles.map(({ backend, open }) =>
              run(arrived, FATE_OPEN, open, (rows) => backend.openBatch(rows)),
            );
            expect(alike).toEqual(opened);
            for (const [index, { fate, packet }] of opened.entries()) {
              if (fate === FATE_INNER) expect(packet).toBe(Buffer.from(plain[index].packet).toString('hex'));
              else dropped += 1;
            }
          }
          // Half of them were damaged; the prefix of P_DATA_V1 is not authenticated.
          expect(dropped).toBeGreaterThan((ROUNDS * ROWS) / 8);
          for (const { backend, seal, open } of handles) {
            backend.retireKey(seal);
            backend.retireKey(open);
          }
        },
      );
    }
  });
}

function run(
  packets: readonly { readonly packet: Uint8Array; readonly id: number; readonly high: number }[],
  fate: number,
  key: number,
  work: (rows: PacketVector) => void,
): readonly Row[] {
  const rows = new PacketVector({ capacity: ROWS, headroom: 32, packetBytes: 9100, tailroom: 16 });
  for (const { packet, id, high } of packets) {
    const row = rows.appendCopy(packet);
    rows.fate[row] = fate;
    rows.key[row] = key;
    rows.packetIdLow[row] = id;
    rows.packetIdHigh[row] = high;
  }
  work(rows);
  return packets.map((_, row) => {
    const isDropped = rows.fate[row] === FATE_DROPPED;
    return {
      fate: rows.fate[row],
      packet: isDropped ? '' : Buffer.from(rows.packet(row)).toString('hex'),
      id: isDropped || fate === FATE_SEAL ? [] : [rows.packetIdHigh[row], rows.packetIdLow[row]],
    };
  });
}

/** As it is, with a bit flipped, cut off, or longer. */
function damaged(random: SeededRandom, packet: Uint8Array): Uint8Array {
  const changed = Uint8Array.from(packet);
  switch (random.below(6)) {
    case 0:
      changed[random.below(changed.length)] ^= 1 << random.below(8);
      return changed;
    case 1:
      return changed.subarray(0, random.below(changed.length));
    case 2:
      return Uint8Array.from([...changed, ...new Uint8Array(1 + random.below(40))]);
    default:
      return changed;
  }
}
