import { SeededRandom } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';
import { makeEnd, RECEIVES, receiveTurn, SEED, SENDS, SLOT, sendTurn, sentId } from './flow-ends.js';
import { StandInFlows } from './stand-in-flows.js';
import { keysFor, openOne, payload, sealOne } from './two-ends.js';

const ROUNDS = 3000;

for (const epoch of [false, true]) {
  describe(`at random, ${epoch ? 'with epochs' : 'with short packet ids'}`, () => {
    it('no packet id is given out twice under one key', () => {
      const random = new SeededRandom(SEED);
      const flows = new StandInFlows();
      // Epochs wear out after some packets.
      const server = makeEnd('server', flows, {}, epoch, { usage: epoch ? 200 : 2 ** 36, failures: 2 ** 36 });
      let generation = 0;
      let now = 0;
      const used = new Set<string>();
      const use = (id: bigint): void => {
        const name = `${generation} ${id}`;
        expect(used.has(name)).toBe(false);
        used.add(name);
      };
      let carried = 0;
      for (let round = 0; round < ROUNDS; round++) {
        now += random.chance(0.3) ? 0.1 : 3;
        const what = random.below(20);
        if (what < 6) {
          for (const packet of sendTurn(server, now, [payload(1 + random.below(90))])) use(sentId(packet, epoch));
        } else if (what < 8) {
          const packets = Array.from({ length: 1 + random.below(5) }, () => payload(40));
          for (const packet of sendTurn(server, now, packets)) use(sentId(packet, epoch));
        } else if (what < 17) {
          const id = flows.carryOut(SENDS, 60, 90, now);
          if (id !== undefined) {
            carried += 1;
            use(id);
          }
        } else if (what === 17) {
          // A flow that has ended where nobody heard of it.
          flows.grants.delete(SENDS);
        } else if (what === 18) {
          server.counters(SLOT);
        } else if (random.chance(0.1)) {
          generation += 1;
          server.installKeys(SLOT, generation % 8, keysFor('server', 1 + (generation % 50)), { peerId: 5, epoch });
          server.sendWith(SLOT, generation % 8);
        }
      }
      expect(carried).toBeGreaterThan(ROUNDS / 10);
      expect(used.size).toBeGreaterThan(ROUNDS / 2);
    });

    it('what arrives and what is refused is the same with flows and without', () => {
      const random = new SeededRandom(SEED + 1);
      const flows = new StandInFlows();
      const [server, plain] = [makeEnd('server', flows, {}, epoch), makeEnd('server', undefined, {}, epoch)];
      const client = makeEnd('client', undefined, {}, epoch);
      const sent: Uint8Array[] = [];
      let now = 0;
      let carried = 0;
      for (let round = 0; round < ROUNDS; round++) {
        now += 2;
        if (sent.length === 0 || random.chance(0.8)) sent.push(sealOne(client, now, payload(60)));
        // Now and then an old one again, or one that was overtaken.
        const packet = sent[random.chance(0.7) ? sent.length - 1 : random.below(sent.length)];
        const id = sentId(packet, epoch);
        const arrived = openOne(plain, now, packet) !== undefined;
        if (random.chance(0.6) && flows.carryIn(RECEIVES, id, 60, packet.length, now)) {
          carried += 1;
          expect(arrived).toBe(true);
        } else {
          expect(receiveTurn(server, now, [packet])).toBe(arrived ? 1 : 0);
        }
      }
      expect(carried).toBeGreaterThan(ROUNDS / 10);
      expect(server.counters(SLOT)).toEqual(plain.counters(SLOT));
      expect(server.drops()).toEqual(plain.drops());
    });
  });
}
