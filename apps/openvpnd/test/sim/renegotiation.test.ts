import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { TLS_CRYPT } from './sim-config.js';
import { LONG } from './sim-scale.js';
import { SimWorld } from './sim-world.js';
import type { Flow } from './traffic.js';
import { NO_FAULTS } from './traffic.js';

/** One packet in 16 is lost, one in 8 overtaken, one in 32 doubled, one in 32 changed. */
const BAD = { delayMs: 20, loss: 1 / 16, reorder: 1 / 8, reorderMs: 60, duplicate: 1 / 32, corrupt: 1 / 32 };

const HOURS = LONG ? 24 : 1;

/** Bytes on the heap that somebody still needs. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed;
}

function twoClients(world: SimWorld, server: readonly string[], client: readonly string[]): readonly Flow[] {
  const config = [...TLS_CRYPT, ...client];
  world.server({ config: [...TLS_CRYPT, ...server] });
  const clients = world.clients(2, { config });
  world.until('connected', () => clients.every((one) => one.connected), 60);
  return clients.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 2000 }));
}

/** How often new keys were made, by the event of whoever asked for them. */
function softResets(world: SimWorld, who: string): number {
  return world.journal.of('tls.soft-reset', who).length;
}

test.each([
  ['the client', 0, 60],
  ['the server', 60, 0],
  ['both', 60, 60],
])('on a clean network %s renegotiates every minute for hours, and no packet is lost', (_, server, client) => {
  const world = new SimWorld({ seed: 1 });
  twoClients(world, [`reneg-sec ${server}`], [`reneg-sec ${client}`]);
  world.finishTraffic(HOURS * 3600);
  expect(world.traffic.lost).toBe(0);
  expect(world.traffic.sent).toBe((4 * HOURS * 3600) / 2);
  expect(world.traffic.faults).toEqual(NO_FAULTS);
  expect(world.journal.of('signal')).toEqual([]);
  // With what a handshake takes and the server's jitter that is about sixty an hour for each client.
  const asked = softResets(world, 'server') + softResets(world, 'client0') + softResets(world, 'client1');
  expect(asked).toBeGreaterThan(2 * HOURS * 55);
  expect(asked).toBeLessThan(2 * HOURS * 70);
  expect(softResets(world, 'server') > 0).toBe(server > 0);
  expect(softResets(world, 'client0') > 0).toBe(client > 0 && server === 0);
});

test('without --reneg-sec the keys stay', () => {
  const world = new SimWorld({ seed: 1 });
  twoClients(world, ['reneg-sec 0'], ['reneg-sec 0']);
  world.finishTraffic(HOURS * 3600);
  expect(world.journal.of('tls.soft-reset')).toEqual([]);
  expect(world.traffic.lost).toBe(0);
});

test('on a bad network no session gets stuck for hours, and the heap does not grow', () => {
  const world = new SimWorld({ seed: 7, conditions: BAD });
  const flows = twoClients(world, ['reneg-sec 60'], ['reneg-sec 60']);
  world.advanceSeconds(1800);
  world.journal.forget();
  const before = heapBytes();
  let resets = 0;
  let worst = 1;
  for (let period = 0; period < HOURS * 30; period += 1) {
    const since = world.clock.now();
    world.advanceSeconds(120);
    for (const flow of flows) worst = Math.min(worst, flow.shareSince(since));
    resets += world.journal.of('tls.soft-reset').length;
    expect(world.journal.of('signal'), world.journal.tail()).toEqual([]);
    world.journal.forget();
  }
  expect(resets).toBeGreaterThan(2 * HOURS * 50);
  // 60 packets, each of which arrives with a chance of 15/16 · 31/32: nine in ten on average, and never a hole of a whole handshake.
  expect(worst).toBeGreaterThan(0.7);
  expect(world.traffic.faults).toEqual(NO_FAULTS);
  const packets = world.traffic.sent;
  // The flows remember each packet; that is all that grows.
  expect((heapBytes() - before) / packets).toBeLessThan(100);
});
