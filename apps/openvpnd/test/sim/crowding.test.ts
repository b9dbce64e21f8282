import { describe, expect, test } from 'vitest';
import type { SimClient } from './sim-client.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';

const CONFIG = ['max-clients 4'];

function full(world: SimWorld): { server: SimServer; clients: SimClient[] } {
  const server = world.server({ config: CONFIG });
  const clients = world.clients(4);
  world.until('connected', () => server.connected === 4 && clients.every((client) => client.connected), 30);
  return { server, clients };
}

/** A client that is killed as soon as it has shown its cookie: it holds a slot and says no more. */
function halfOpen(world: SimWorld, server: SimServer, name: string): SimClient {
  const { all } = server.modules.tunnel.population;
  const client = world.client(name);
  world.until('half open', () => server.modules.tunnel.population.all > all, 10);
  client.kill();
  return client;
}

describe('--max-clients', () => {
  test('one more than fit is not let in, and those inside notice nothing', () => {
    const world = new SimWorld({ seed: 1 });
    const { server, clients } = full(world);
    const late = world.client('late');
    for (const { name } of clients) world.traffic.between(name, 'server', { intervalMs: 100 });
    world.finishTraffic(120);
    expect(late.connectedAt).toEqual([]);
    expect(late.signals.length).toBeGreaterThan(0);
    expect(world.journal.of('server.full').length).toBeGreaterThan(0);
    expect(server.modules.tunnel.population).toEqual({ connected: 4, all: 4 });
    expect(world.traffic.lost).toBe(0);
  });

  test('it is let in when one has gone', () => {
    const world = new SimWorld({ seed: 1 });
    const { server, clients } = full(world);
    const late = world.client('late');
    expect(server.connectedCounts).toEqual([1, 2, 3, 4]);
    world.advanceSeconds(20);
    clients[2].kill();
    world.until('let in', () => late.connected, 300);
    const flows = world.traffic.between('late', 'server', { intervalMs: 100 });
    world.finishTraffic(2);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(server.modules.tunnel.population.all).toBe(4);
    expect(server.connectedCounts).toEqual([1, 2, 3, 4, 3, 4]);
  });

  test('half-open ones make room for newcomers, the oldest first', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: CONFIG });
    const inside = world.clients(2);
    world.until('connected', () => server.connected === 2, 30);
    halfOpen(world, server, 'ghost1');
    halfOpen(world, server, 'ghost2');
    expect(server.modules.tunnel.population).toEqual({ connected: 2, all: 4 });
    const flows = inside.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 50 }));
    const third = world.client('third');
    const fourth = world.client('fourth');
    world.until('let in', () => third.connected && fourth.connected, 10);
    world.finishTraffic(2);
    expect(server.connected).toBe(4);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0, 0, 0]);
  });

  test('a half-open client is forgotten after the hand window', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: CONFIG });
    halfOpen(world, server, 'ghost');
    world.advanceSeconds(55);
    expect(server.modules.tunnel.population.all).toBe(1);
    world.advanceSeconds(10);
    expect(server.modules.tunnel.population.all).toBe(0);
  });

  test('a flood of half-open clients keeps no honest client out', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: CONFIG });
    const inside = world.clients(2);
    world.until('connected', () => server.connected === 2, 30);
    const flows = inside.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 100 }));
    for (let ghost = 0; ghost < 40; ghost += 1) {
      const client = world.client(`ghost${ghost}`);
      world.clock.schedule(world.clock.now() + 3, () => client.kill());
      world.advanceSeconds(0.25);
      if (ghost === 20) world.client('honest');
    }
    world.finishTraffic(5);
    expect(world.journal.of('up', 'honest')).toHaveLength(1);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0, 0, 0]);
  });
});

describe('who is not let in', () => {
  test.each([
    ['of another authority', { issuer: 'CN=other CA' }, 'SIGUSR1'],
    ['without a name', { commonName: '' }, 'SIGTERM'],
    ['that is disabled', { commonName: 'disabled' }, 'SIGTERM'],
  ])('a client %s', (_, settings, signal) => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({
      clientConfig: (commonName) =>
        commonName === 'disabled' ? { type: 'refused', reason: 'not wanted' } : { type: 'none' },
    });
    const good = world.client('good');
    const bad = world.client('bad', settings);
    world.until('refused', () => bad.signals.length > 0, 70);
    expect(bad.signals[0].signal).toBe(signal);
    expect(bad.connectedAt).toEqual([]);
    bad.kill();
    world.advanceSeconds(70);
    expect(good.connected).toBe(true);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
  });

  test('more clients than the pool has addresses', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['server 10.9.0.0 255.255.255.248'] });
    const clients = world.clients(6);
    world.until('one refused', () => clients.some((client) => client.signals.length > 0), 30);
    world.advanceSeconds(10);
    expect(clients.filter((client) => client.connected)).toHaveLength(5);
    expect(server.connected).toBe(5);
    expect(world.journal.of('server.pool-exhausted')).toHaveLength(1);
  });
});
