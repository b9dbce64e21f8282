import { SeededRandom } from '@openvpnd/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readPulledOptions } from '../src/index.js';
import { World } from './two-peers.js';

/** Every control packet that two honest peers exchange in a connection with two renegotiations. */
function recorded(): { readonly fromClient: Uint8Array[]; readonly fromServer: Uint8Array[] } {
  const world = new World();
  const fromClient: Uint8Array[] = [];
  const fromServer: Uint8Array[] = [];
  world.filter = (from, packet) => {
    (from === world.client ? fromClient : fromServer).push(packet.slice());
    return true;
  };
  world.connect();
  for (let i = 0; i < 2; i++) {
    world.clock.advanceBy(3000);
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
  }
  world.clock.advanceBy(3000);
  return { fromClient, fromServer };
}

describe('whatever arrives, nothing is thrown', () => {
  const { fromClient, fromServer } = recorded();

  test('arbitrary bytes', () => {
    const world = new World();
    world.connect();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        world.server.receive(bytes);
        world.client.receive(bytes);
      }),
      { seed: 1, numRuns: 2000 },
    );
    expect(world.connected).toBe(true);
  });

  test('packets of another session, cut at every length, change nothing', () => {
    const world = new World({ seed: 4 });
    world.connect();
    const before = [world.client.actions.length, world.server.actions.length];
    for (const packet of fromClient)
      for (let n = 0; n < Math.min(packet.length, 60); n++) world.server.receive(packet.slice(0, n));
    for (const packet of fromServer)
      for (let n = 0; n < Math.min(packet.length, 60); n++) world.client.receive(packet.slice(0, n));
    expect([world.client.actions.length, world.server.actions.length]).toEqual(before);
  });

  test.each([1, 2, 3, 4, 5, 6, 7, 8])(
    'packets of the very session, changed and repeated in any order (seed %i)',
    (seed) => {
      const random = new SeededRandom(seed);
      const world = new World({ seed });
      const seen: Uint8Array[][] = [[], []];
      world.filter = (from, packet) => {
        const to = from === world.client ? 1 : 0;
        const past = seen[to]!;
        if (past.length < 500) past.push(packet.slice());
        const victim = to === 1 ? world.server : world.client;
        if (random.chance(0.5)) {
          const twisted = past[random.below(past.length)]!.slice();
          for (let i = random.below(3); i > 0; i--) twisted[random.below(twisted.length)] = random.below(256);
          world.clock.schedule(world.clock.now() + random.below(50), () => victim.receive(twisted));
        }
        return true;
      };
      world.start();
      for (let i = 0; i < 40; i++) {
        world.clock.advanceBy(random.below(2000));
        const peer = random.chance(0.5) ? world.client : world.server;
        peer.run(peer.multi.renegotiate(world.clock.now(), 'bytes'));
        expect(world.server.keys.size).toBeLessThanOrEqual(3);
        expect(world.client.keys.size).toBeLessThanOrEqual(3);
      }
    },
  );

  test('any text on the control channel', () => {
    const world = new World();
    world.connect();
    fc.assert(
      fc.property(
        fc.constantFrom('PUSH_REPLY,', 'AUTH_PENDING,', 'INFO,', 'CR_RESPONSE,', 'PUSH_', '', 'PUSH_UPDATE,'),
        fc.string(),
        (head, tail) => {
          const text = `${head}${tail}`.replace(/[\u0000-\u001f\u007f]/g, ' ');
          for (const peer of [world.client, world.server]) {
            peer.run(peer.multi.sendControlMessage(world.clock.now(), text));
            world.clock.advanceBy(50);
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
    expect(world.connected).toBe(true);
  });

  test('any pushed option', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.string().map((text) => `peer-id ${text}`),
            fc.string().map((text) => `protocol-flags ${text}`),
          ),
        ),
        (options) => {
          const { peerId } = readPulledOptions(options);
          expect(peerId === undefined || (peerId >= 0 && peerId <= 0xffffff)).toBe(true);
        },
      ),
      { seed: 1, numRuns: 1000 },
    );
  });
});

test('many connections that come and go leave nothing behind', () => {
  const world = new World();
  for (let i = 0; i < 200; i++) {
    world.client.restart();
    world.start();
    world.clock.advanceBy(10_000);
  }
  // Only the last session is alive: one timer each, one key each.
  expect(world.server.keys.size).toBe(1);
  expect(world.server.all('connected').length).toBeGreaterThan(150);
});
