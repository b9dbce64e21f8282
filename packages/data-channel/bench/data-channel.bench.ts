import { FATE_OPEN, FATE_SEAL, PacketVector } from '@openvpnd/memory';
import { bench, describe } from 'vitest';
import { type AeadBackend, DataChannel } from '../src/index.js';
import { nodeAeadBackend } from '../src/node/index.js';
import { ClearBackend } from '../test/clear-backend.js';
import { keysFor, payload } from '../test/two-ends.js';

const ROWS = 64;

/** Seals and opens a vector of 64 packets: with the clear backend what is left is the channel's own cost. */
function pass(backend: () => AeadBackend, bytes: number): () => void {
  const [client, server] = (['client', 'server'] as const).map((role) => {
    const channel = new DataChannel({ backend: backend(), maxPeers: 4 });
    channel.addPeer(1, { pingMs: 10_000 }, 0);
    channel.installKeys(1, 0, keysFor(role), { peerId: 1, mss: 1400 });
    channel.sendWith(1, 0);
    return channel;
  });
  const vector = new PacketVector({ capacity: ROWS, packetBytes: 2048, ...DataChannel.needs });
  const packet = payload(bytes);
  let now = 0;
  return () => {
    now += 0.1;
    vector.reset();
    for (let count = 0; count < ROWS; count++) {
      const row = vector.appendCopy(packet);
      vector.slot[row] = 1;
      vector.fate[row] = FATE_SEAL;
    }
    client.sealBatch(now, vector);
    for (let row = 0; row < ROWS; row++) vector.fate[row] = FATE_OPEN;
    server.openBatch(now, vector);
  };
}

for (const bytes of [64, 1400]) {
  describe(`64 packets of ${bytes} bytes, sealed and opened`, () => {
    bench(
      'clear',
      pass(() => new ClearBackend(), bytes),
    );
    bench('node:crypto', pass(nodeAeadBackend, bytes));
  });
}
