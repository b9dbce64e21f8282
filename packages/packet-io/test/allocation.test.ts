import './native-build.js';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_INNER,
  FATE_OPEN,
  FATE_SEAL,
  FATE_TO_LINK,
  PacketVector,
} from '@openvpnd/memory';
import { expect, it } from 'vitest';
import { nativeBackend, openUdpLink } from '../src/index.js';

const PACKETS = 10_000;
const ROWS = 64;
/** Far below the smallest object for each packet (16 bytes), far above the noise of a measurement. */
const MAX_BYTES_A_PACKET = 8;
const ROUNDS = 6;

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

it('seals, sends, receives and opens 10 000 packets without an allocation for a packet', () => {
  const backend = nativeBackend();
  const key = {
    cipher: 'AES-256-GCM',
    key: new Uint8Array(32),
    implicitIv: new Uint8Array(8),
    prefix: Uint8Array.of(0x48, 0, 0, 1),
  } as const;
  const seal = backend.installKey({ ...key, direction: 'seal' });
  const open = backend.installKey({ ...key, direction: 'open' });
  const link = openUdpLink({ id: 3, local: { family: 4, address: '127.0.0.1', port: 0 } });
  const to = link.localAddress();
  const shape = { capacity: ROWS, headroom: 64, packetBytes: 1500, tailroom: 0 };
  const tx = new PacketVector(shape);
  const rx = new PacketVector(shape);
  let opened = 0;
  const run = (): void => {
    for (let packets = 0; packets < PACKETS; packets += ROWS) {
      tx.reset();
      for (let row = 0; row < ROWS; row += 1) {
        tx.append();
        tx.length[row] = 100;
        tx.fate[row] = FATE_SEAL;
        tx.key[row] = seal;
        tx.packetIdLow[row] = packets + row + 1;
        for (let word = 0; word < ADDRESS_WORDS; word += 1) tx.addresses[row * ADDRESS_WORDS + word] = to[word];
      }
      backend.sealBatch(tx);
      if (tx.fate[0] !== FATE_TO_LINK || tx.addresses[ADDRESS_LINK] !== link.id) throw new Error('not sealed');
      if (!link.sendBatch(tx)) throw new Error('loopback is full');
      rx.reset();
      link.receiveBatch(rx);
      for (let row = 0; row < rx.count; row += 1) {
        rx.fate[row] = FATE_OPEN;
        rx.key[row] = open;
      }
      backend.openBatch(rx);
      for (let row = 0; row < rx.count; row += 1) if (rx.fate[row] === FATE_INNER) opened += 1;
    }
  };
  for (let warm = 0; warm < 4; warm += 1) run();
  // Other work of this process may allocate meanwhile: the least growth of several rounds is ours.
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    gc();
    const before = process.memoryUsage().heapUsed;
    run();
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  link.close();
  expect(opened).toBe(Math.ceil(PACKETS / ROWS) * ROWS * (4 + ROUNDS));
  expect(least / PACKETS).toBeLessThan(MAX_BYTES_A_PACKET);
});
