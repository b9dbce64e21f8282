import type { AeadBackend, AeadKeyOptions } from '@openvpnd/data-channel';
import { nodeAeadBackend } from '@openvpnd/data-channel/node';
import type { LinkSocket } from '@openvpnd/external-mux';
import { openUdpLink as openPortableLink } from '@openvpnd/external-mux/node';
import { ADDRESS_LINK, ADDRESS_WORDS, FATE_OPEN, FATE_SEAL, FATE_TO_LINK, PacketVector } from '@openvpnd/memory';
import { bench, describe } from 'vitest';
import { nativeBackend, openUdpLink } from '../src/index.js';

// Native against portable, the same work: `npx vitest bench --run --project unit packages/packet-io`.

const ROWS = 64;
const LOOPBACK = { family: 4, address: '127.0.0.1', port: 0 } as const;

for (const cipher of ['AES-256-GCM', 'CHACHA20-POLY1305'] as const) {
  for (const bytes of [64, 1400]) {
    describe(`seal and open ${ROWS} packets of ${bytes} bytes, ${cipher}`, () => {
      bench('node:crypto', sealAndOpen(nodeAeadBackend(), cipher, bytes));
      bench('evp', sealAndOpen(nativeBackend(), cipher, bytes));
    });
  }
}

for (const bytes of [64, 1400]) {
  describe(`send and receive ${ROWS} packets of ${bytes} bytes on loopback`, async () => {
    const portable = await openPortableLink({ id: 1, local: LOOPBACK });
    const native = openUdpLink({ id: 2, local: LOOPBACK });
    bench('dgram', sendAndReceive(portable, bytes));
    bench('recvmmsg, sendmmsg', sendAndReceive(native, bytes));
  });
}

function makeVector(): PacketVector {
  return new PacketVector({ capacity: ROWS, headroom: 64, packetBytes: 1500, tailroom: 0 });
}

function sealAndOpen(backend: AeadBackend, cipher: AeadKeyOptions['cipher'], bytes: number): () => void {
  const options = {
    cipher,
    key: new Uint8Array(32).fill(1),
    implicitIv: new Uint8Array(8),
    prefix: Uint8Array.of(0x48, 0, 0, 1),
  };
  const seal = backend.installKey({ ...options, direction: 'seal' });
  const open = backend.installKey({ ...options, direction: 'open' });
  const vector = makeVector();
  return () => {
    vector.reset();
    for (let row = 0; row < ROWS; row += 1) {
      vector.append();
      vector.length[row] = bytes;
      vector.fate[row] = FATE_SEAL;
      vector.key[row] = seal;
      vector.packetIdLow[row] = row + 1;
    }
    backend.sealBatch(vector);
    for (let row = 0; row < ROWS; row += 1) {
      vector.fate[row] = FATE_OPEN;
      vector.key[row] = open;
    }
    backend.openBatch(vector);
  };
}

/** A link that sends to itself. */
function sendAndReceive(link: LinkSocket, bytes: number): () => Promise<void> {
  const to = link.localAddress();
  to[ADDRESS_LINK] = link.id;
  const tx = makeVector();
  const rx = makeVector();
  let received = 0;
  let done = (): void => {};
  link.watch({
    readable() {
      rx.reset();
      received += link.receiveBatch(rx);
      if (received >= ROWS) done();
    },
    writable() {},
    failed() {},
  });
  return () =>
    new Promise((resolve) => {
      received = 0;
      done = resolve;
      tx.reset();
      for (let row = 0; row < ROWS; row += 1) {
        tx.append();
        tx.length[row] = bytes;
        tx.fate[row] = FATE_TO_LINK;
        tx.addresses.set(to, row * ADDRESS_WORDS);
      }
      link.sendBatch(tx);
    });
}
