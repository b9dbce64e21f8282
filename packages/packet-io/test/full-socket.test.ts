import './native-build.js';
import { ADDRESS_LINK, ADDRESS_WORDS, FATE_TO_LINK, type LinkAddress, PacketVector } from '@openvpnd/memory';
import { expect, it } from 'vitest';
import { openUdpLink } from '../src/index.js';
import { describeInNamespace } from './namespace.js';
import { quietNamespace, slowLoopback } from './quiet-namespace.js';

const PACKETS = 200;
const PACKET_BYTES = 1400;
/** First byte of packets that stand outside the vector. */
const SINGLE = 255;
const LOOPBACK = { family: 4, address: '127.0.0.1', port: 0 } as const;

/** How the packets lie in the vector: one a row, or as runs of many. */
const RUN = 40;
const WAYS: readonly { title: string; gso: boolean; run: number }[] = [
  { title: 'one by one', gso: false, run: 1 },
  { title: 'which the kernel splits', gso: true, run: 1 },
  { title: 'in runs', gso: true, run: RUN },
  { title: 'in runs, on a kernel that splits none', gso: false, run: RUN },
];

/** `PACKETS` packets for one address that begin with their number. */
function packets(to: LinkAddress, run: number): PacketVector {
  const capacity = PACKETS / run;
  const tx = new PacketVector({
    capacity,
    headroom: 0,
    packetBytes: 1500,
    tailroom: 0,
    arenaBytes: PACKETS * PACKET_BYTES,
  });
  for (let index = 0; index < PACKETS; index += run) {
    const row = tx.append();
    if (run > 1) tx.offset[row] = capacity * tx.strideBytes + index * PACKET_BYTES;
    tx.length[row] = run * PACKET_BYTES;
    tx.segments[row] = run;
    tx.segmentBytes[row] = run > 1 ? PACKET_BYTES : 0;
    for (let part = 0; part < run; part += 1) tx.bytes[tx.offset[row] + part * PACKET_BYTES] = index + part;
    tx.fate[row] = FATE_TO_LINK;
    tx.addresses.set(to, row * ADDRESS_WORDS);
  }
  return tx;
}

describeInNamespace(import.meta.url, () => {
  it.for(WAYS)(
    'keeps what a full socket refuses, calls writable once for each refusal, and loses nothing: packets $title',
    async ({ gso, run }, { skip }) => {
      quietNamespace();
      slowLoopback('rate 50mbit burst 16kb latency 1s', skip);
      const a = openUdpLink({ id: 1, local: LOOPBACK, sendBufferBytes: 16384, offload: { gso, gro: false } });
      const b = openUdpLink({ id: 2, local: LOOPBACK });
      const to = b.localAddress();
      to[ADDRESS_LINK] = a.id;
      let writable = 0;
      a.watch({
        readable() {},
        writable() {
          writable += 1;
        },
        failed() {},
      });
      const tx = packets(to, run);
      const rx = new PacketVector({ capacity: 64, headroom: 0, packetBytes: 1500, tailroom: 0 });
      const seen: number[] = [];
      b.watch({
        readable() {
          rx.reset();
          b.receiveBatch(rx);
          for (let row = 0; row < rx.count; row += 1) {
            const first = rx.bytes[rx.offset[row]];
            if (first !== SINGLE) seen.push(first);
          }
        },
        writable() {},
        failed() {},
      });
      let refusals = 0;
      while (!a.sendBatch(tx)) {
        refusals += 1;
        const before = writable;
        if (refusals === 1) {
          for (let single = 0; single < PACKETS; single += 1) a.send(Uint8Array.of(SINGLE), to);
          expect(a.counters().sendFull).toBeGreaterThan(0);
        }
        await until(() => writable > before);
      }
      await until(() => seen.length === PACKETS);
      // The kernel may hand over in another order when the sender changes its processor.
      seen.sort((one, other) => one - other);
      expect(seen).toEqual(Array.from({ length: PACKETS }, (_, index) => index));
      expect(refusals).toBeGreaterThan(1);
      expect(writable).toBe(refusals);
      expect(a.counters()).toMatchObject({ full: refusals, sendErrors: 0 });
      a.close();
      b.close();
    },
  );
});

/** Waits for the sockets alone: each turn of node's loop sleeps until one is ready. */
async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('nothing more happened');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
