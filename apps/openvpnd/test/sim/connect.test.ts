import { describe, expect, test } from 'vitest';
import { TLS_CRYPT } from './sim-config.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

/** Half of the packets suffer from something. */
const BAD = {
  delayMs: 20,
  jitterMs: 20,
  loss: 0.2,
  reorder: 0.1,
  reorderMs: 60,
  duplicate: 0.05,
  corrupt: 0.02,
};

/** Clients connect at once over a bad network, and each exchanges numbered packets with the server for ten seconds. */
function crowd(seed: number, count: number): SimWorld {
  const world = new SimWorld({ seed, conditions: BAD });
  const server = world.server({ config: TLS_CRYPT });
  const clients = world.clients(count, { config: TLS_CRYPT });
  world.until('all connected', () => server.connected === count && clients.every((client) => client.connected), 60);
  for (const [index, client] of clients.entries()) {
    world.traffic.between(client.name, 'server', { intervalMs: 100, family: index % 2 === 0 ? 4 : 6 });
  }
  world.finishTraffic(10);
  return world;
}

describe('connecting', () => {
  test('a client carries packets of both families both ways', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client');
    world.until('connected', () => client.connected && server.connected === 1, 10);
    world.traffic.between('client', 'server', { intervalMs: 20 });
    world.traffic.between('client', 'server', { intervalMs: 20, family: 6 });
    world.finishTraffic(5);
    const { flows } = world.traffic;
    expect(flows.map((flow) => [flow.sent, flow.lost])).toEqual(flows.map(() => [250, 0]));
    expect(world.traffic.faults).toEqual(NO_FAULTS);
  });

  test('32 clients at once over a bad network: all come up, and nothing arrives twice, damaged or at the wrong place', () => {
    const world = crowd(2, 32);
    const { flows } = world.traffic;
    expect(flows).toHaveLength(64);
    for (const flow of flows) expect(flow.sent).toBe(100);
    // What the network takes is lost (it loses a fifth and changes a fiftieth), and not much else: packets that come later than the replay window.
    expect(world.traffic.lost / world.traffic.sent).toBeGreaterThan(0.15);
    expect(world.traffic.lost / world.traffic.sent).toBeLessThan(0.25);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
  });

  test('the same seed gives the same run, to the last packet; another seed another', () => {
    const digest = crowd(2, 8).journal.digest();
    expect(crowd(2, 8).journal.digest()).toBe(digest);
    expect(crowd(3, 8).journal.digest()).not.toBe(digest);
  });
});
