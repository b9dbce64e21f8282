import { epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { FUTURE_EPOCHS } from '../src/epoch-receive-keys.js';
import { type AeadBackend, DataChannel } from '../src/index.js';
import { nodeAeadBackend } from '../src/node/index.js';
import { keysFor, open, payload, seal } from './two-ends.js';

const ROUNDS = 300;
const FORGED_PER_ROUND = 50;

/** A backend that counts the keys it holds. */
function counting(): { readonly backend: AeadBackend; keys: number; most: number } {
  const inner = nodeAeadBackend();
  const counts = {
    keys: 0,
    most: 0,
    backend: {
      name: inner.name,
      sealBatch: (vector) => inner.sealBatch(vector),
      openBatch: (vector) => inner.openBatch(vector),
      installKey: (options) => {
        counts.keys += 1;
        counts.most = Math.max(counts.most, counts.keys);
        return inner.installKey(options);
      },
      retireKey: (handle) => {
        counts.keys -= 1;
        inner.retireKey(handle);
      },
    } satisfies AeadBackend,
  };
  return counts;
}

for (const epoch of [true, false]) {
  describe(`a flood of forged data packets, ${epoch ? 'epoch keys' : 'ids of 32 bits'}`, () => {
    it('opens nothing, moves nothing, holds little, and each genuine packet among them opens once', () => {
      const random = new SeededRandom(epoch ? 1 : 2);
      const epochDerivation = { nextEpochSecret, epochDataKey };
      const held = counting();
      const server = new DataChannel({ backend: held.backend, maxPeers: 8, epochDerivation });
      const clients = [1, 2].map((seed, index) => {
        const client = new DataChannel({ backend: nodeAeadBackend(), maxPeers: 8, epochDerivation });
        client.addPeer(3, {}, 0);
        client.installKeys(3, 0, keysFor('client', seed), { peerId: index, epoch });
        client.sendWith(3, 0);
        server.addPeer(index, {}, 0);
        return client;
      });
      const [genuine, neighbour] = clients;
      // Before there are keys.
      const early = seal(genuine, 0, [payload(60)]) as Uint8Array[];
      expect(open(server, 0, early, 0)).toEqual([undefined]);
      for (const [index, seed] of [1, 2].entries()) {
        server.installKeys(index, 0, keysFor('server', seed), { peerId: index, epoch });
        server.sendWith(index, 0);
      }
      const atRest = held.keys;
      const seen: Uint8Array[] = [];
      for (let round = 0; round < ROUNDS; round += 1) {
        const good = seal(genuine, round, [payload(40 + random.below(1300), round + 1)]) as Uint8Array[];
        seen.push(good[0]);
        const foreign = seal(neighbour, round, [payload(80)]) as Uint8Array[];
        const forged = Array.from({ length: FORGED_PER_ROUND }, () => forge(random, good[0], seen, foreign[0]));
        const place = random.below(FORGED_PER_ROUND);
        const batch = [...forged.slice(0, place), good[0], ...forged.slice(place)];
        const opened = open(server, round, batch, 0);
        expect(opened.map((packet, index) => (packet === undefined ? -1 : index)).filter((at) => at >= 0)).toEqual([
          place,
        ]);
        expect(open(server, round, good, 0)).toEqual([undefined]);
        // Under its own name the neighbour is not concerned.
        expect(open(server, round, foreign, 1)[0]).toEqual(payload(80));
      }
      // A key of each epoch that might come, for each layout or epoch once, however many packets ask for it.
      expect(held.most - atRest).toBeLessThanOrEqual(FUTURE_EPOCHS + 2);
      server.removePeer(0);
      server.removePeer(1);
      expect(held.keys).toBe(0);
    });
  });
}

/** What somebody without the key can make of what is on the wire. */
function forge(random: SeededRandom, good: Uint8Array, seen: readonly Uint8Array[], foreign: Uint8Array): Uint8Array {
  const packet = good.slice();
  const view = new DataView(packet.buffer);
  switch (random.below(9)) {
    // Another epoch, near or far; another id, extremes among them.
    case 0:
      view.setUint16(4, random.chance(0.5) ? random.below(40) : random.below(0x10000));
      break;
    case 1:
      view.setUint32(4, [0, 1, 0xff000000, 0xffffffff, 0x7fffffff, 0x80000000][random.below(6)]);
      break;
    case 2:
      view.setUint32(8, random.uint32());
      break;
    // Another key id, opcode or peer id.
    case 3:
      packet[0] ^= 1 + random.below(7);
      break;
    case 4:
      packet[0] = (random.below(32) << 3) | random.below(8);
      if (packet[0] === good[0]) packet[0] ^= 1;
      break;
    case 5:
      packet[1 + random.below(3)] ^= 1 << random.below(8);
      break;
    case 6:
      return packet.subarray(0, random.below(packet.length));
    // Old ones, which were opened before, and those of others.
    case 7:
      return seen.length > 1 ? seen[random.below(seen.length - 1)] : foreign;
    default:
      return foreign;
  }
  // What was meant to be changed may have been so already.
  if (Buffer.compare(packet, good) === 0) packet[packet.length - 1] ^= 1;
  return packet;
}
