import { BLACKHOLE } from '@openvpnd/testkit';
import { describe, expect, test } from 'vitest';
import type { SimClient } from './sim-client.js';
import { TLS_CRYPT } from './sim-config.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

/** After the time that packets need, everything that is sent arrives. */
function expectTraffic(world: SimWorld, ...clients: readonly SimClient[]): void {
  const flows = clients.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 100 }));
  world.finishTraffic(2);
  expect(flows.map(({ lost, sent }) => [lost, sent])).toEqual(flows.map(() => [0, 20]));
  expect(world.traffic.faults).toEqual(NO_FAULTS);
}

function expectNoTraffic(world: SimWorld, client: SimClient): void {
  const [up, down] = world.traffic.between(client.name, 'server', { intervalMs: 100 });
  world.finishTraffic(2);
  expect([up.arrived.size, down.arrived.size]).toEqual([0, 0]);
}

function settled(world: SimWorld, server: SimServer, ...clients: readonly SimClient[]): void {
  world.until(
    'connected',
    () => server.connected === clients.length && clients.every((client) => client.connected),
    30,
  );
}

describe.each([
  ['without a wrap', [] as readonly string[]],
  ['with tls-crypt', TLS_CRYPT],
])('a client that lost its state, %s,', (_, wrap) => {
  test('comes back from the same address: it takes its own place, and its addresses stay', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: wrap });
    const client = world.client('client', { config: wrap, port: 5000 });
    const other = world.client('other', { config: wrap });
    settled(world, server, client, other);
    const { ipv4 } = client.addresses;
    const flows = world.traffic.between('other', 'server', { intervalMs: 20 });
    client.kill();
    world.advanceSeconds(5);
    client.start();
    world.until('connected again', () => client.connected, 5);
    world.advanceSeconds(1);
    expect(client.addresses.ipv4).toBe(ipv4);
    expect(server.modules.tunnel.population).toEqual({ connected: 2, all: 2 });
    expectTraffic(world, client, other);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
  });

  test('comes back again and again from the same address', () => {
    const world = new SimWorld({ seed: 2, conditions: { delayMs: 20, loss: 0.1, reorder: 0.1, reorderMs: 50 } });
    const server = world.server({ config: wrap });
    const client = world.client('client', { config: wrap, port: 5000 });
    for (let life = 0; life < 20; life += 1) {
      world.until('connected', () => client.connected, 60);
      world.advanceSeconds(life % 3);
      client.kill();
      world.advanceSeconds(life % 4);
      client.start();
    }
    world.until('connected', () => client.connected, 60);
    world.advanceSeconds(5);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
    world.network.conditions = { ...world.network.conditions, loss: 0 };
    expectTraffic(world, client);
  });

  test('comes back from another address: the old instance goes, its addresses are given again', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: wrap });
    const client = world.client('client', { config: wrap });
    settled(world, server, client);
    const { ipv4 } = client.addresses;
    client.kill();
    client.start();
    world.until('connected again', () => client.connected, 5);
    world.advanceSeconds(1);
    expect(client.addresses.ipv4).toBe(ipv4);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
    expectTraffic(world, client);
  });
});

describe('two clients with one name', () => {
  test('the newer has the tunnel, the older is gone without a word', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const older = world.client('older', { commonName: 'twin' });
    settled(world, server, older);
    const newer = world.client('newer', { commonName: 'twin' });
    world.until('connected', () => newer.connected, 10);
    world.advanceSeconds(1);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
    expectTraffic(world, newer);
    expect(world.journal.of('server.duplicate-common-name')).toHaveLength(1);
    // The older one notices by its ping-restart, comes back, and it is the other's turn.
    world.until('restarted', () => older.signals.length > 0, 70);
    expect(older.signals[0]).toMatchObject({ signal: 'SIGUSR1', text: 'ping-restart' });
    world.until('connected', () => older.connected, 10);
    world.advanceSeconds(1);
    expect(server.modules.tunnel.population.all).toBe(1);
    expectTraffic(world, older);
  });

  test('--duplicate-cn lets both be', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['duplicate-cn'] });
    const clients = ['one', 'two'].map((name) => world.client(name, { commonName: 'twin' }));
    settled(world, server, ...clients);
    world.advanceSeconds(100);
    expectTraffic(world, ...clients);
    expect(new Set(clients.map((client) => client.addresses.ipv4)).size).toBe(2);
    expect(world.journal.of('server.duplicate-common-name')).toEqual([]);
  });
});

describe('silence', () => {
  test('a client restarts when the server has been silent for --ping-restart, and is back as soon as it can', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client');
    settled(world, server, client);
    const since = world.clock.now();
    world.network.setConditions(server.run.link, client.link, BLACKHOLE);
    world.until('restarted', () => client.signals.length > 0, 75);
    expect(client.signals[0]).toMatchObject({ signal: 'SIGUSR1', source: 'soft', text: 'ping-restart' });
    // Pushed: ping-restart 60. The last ping came up to ten seconds before the silence.
    expect(world.clock.now() - since).toBeGreaterThan(49_000);
    expect(world.clock.now() - since).toBeLessThan(61_000);
    // Its next socket is another path.
    world.until('connected again', () => client.connected, 5);
    expectTraffic(world, client);
  });

  test('pings keep an idle tunnel alive for a day', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['reneg-sec 0'] });
    const client = world.client('client', { config: ['reneg-sec 0'] });
    settled(world, server, client);
    world.advanceSeconds(86_400);
    expect(world.journal.of('signal')).toEqual([]);
    expect(server.connected).toBe(1);
    expectTraffic(world, client);
  });

  test('a server forgets a client that is gone after twice the time', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client');
    const other = world.client('other');
    settled(world, server, client, other);
    client.kill();
    world.advanceSeconds(105);
    expect(server.modules.tunnel.population.all).toBe(2);
    world.advanceSeconds(20);
    expect(server.modules.tunnel.population.all).toBe(1);
    expectNoTraffic(world, client);
    expectTraffic(world, other);
  });
});

describe('a server that starts anew', () => {
  test('after a crash the clients come back by their ping-restart', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const clients = world.clients(5);
    settled(world, server, ...clients);
    server.kill();
    world.advanceSeconds(2);
    server.start();
    world.advanceSeconds(30);
    expect(server.connected).toBe(0);
    world.until('all back', () => server.connected === 5, 45);
    world.advanceSeconds(1);
    for (const client of clients) expect(client.signals.map(({ text }) => text)).toEqual(['ping-restart']);
    expectTraffic(world, ...clients);
  });

  test('after a long absence they are back within their longest pause', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const clients = world.clients(5);
    settled(world, server, ...clients);
    server.kill();
    world.advanceSeconds(1800);
    expect(clients.every((client) => !client.running || !client.run.tunnel.connected)).toBe(true);
    server.start();
    world.until('all back', () => server.connected === 5, 300 + 60);
    expectTraffic(world, ...clients);
  });

  test.each([
    [1, 'RESTART'],
    [2, 'RESTART,[N]'],
  ])('--explicit-exit-notify %i: it says %s, and they are back at once', (form) => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: [`explicit-exit-notify ${form}`] });
    const clients = world.clients(5);
    settled(world, server, ...clients);
    server.signal('SIGUSR1');
    world.until('ended', () => !server.running, 5);
    expect(server.signals).toMatchObject([{ signal: 'SIGUSR1', source: 'hard' }]);
    server.start();
    world.until('all back', () => server.connected === 5, 10);
    world.advanceSeconds(1);
    for (const { signals } of clients) {
      expect(signals).toMatchObject([{ signal: 'SIGUSR1', text: 'server-pushed-connection-reset' }]);
      expect(signals[0].retry?.advance).toBe(form === 2 ? 'remote' : 'no');
    }
    expectTraffic(world, ...clients);
  });

  test('without it nobody is told', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client');
    settled(world, server, client);
    server.signal('SIGTERM');
    world.advanceSeconds(1);
    expect(server.running).toBe(false);
    world.advanceSeconds(30);
    expect(client.signals).toEqual([]);
  });
});

describe('a client that ends', () => {
  test('says so on the control channel when both can', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client', { config: ['explicit-exit-notify 1'] });
    settled(world, server, client);
    client.signal('SIGTERM');
    world.until('ended', () => client.signals.length > 0, 5);
    expect(client.signals[0]).toMatchObject({ signal: 'SIGTERM', text: 'exit-with-notification' });
    world.advanceSeconds(6);
    expect(server.modules.tunnel.population.all).toBe(0);
    expect(world.journal.of('server.remote-exit')).toEqual([]);
  });

  test('says so on the data channel otherwise, as often as asked', () => {
    const world = new SimWorld({ seed: 1 });
    // Hidden from the client: that the server understands EXIT on the control channel; with another cipher that would hide epoch keys as well.
    const cbc = 'data-ciphers AES-256-CBC';
    const server = world.server({ config: [cbc, 'push "key-derivation tls-ekm"'] });
    const client = world.client('client', {
      config: [cbc, 'explicit-exit-notify 3', 'pull-filter ignore protocol-flags'],
    });
    settled(world, server, client);
    const { sentPackets } = client.modules.dataChannel.counters(0);
    client.signal('SIGTERM');
    world.advanceSeconds(0.1);
    expect(server.modules.tunnel.population.all).toBe(0);
    expect(world.journal.of('server.remote-exit')).toHaveLength(1);
    expect(client.signals).toEqual([]);
    world.advanceSeconds(1);
    expect(client.modules.dataChannel.counters(0).sentPackets - sentPackets).toBe(2);
    world.until('ended', () => client.signals.length > 0, 5);
    expect(client.signals[0]).toMatchObject({ signal: 'SIGTERM', text: 'exit-with-notification' });
  });

  test('without --explicit-exit-notify the server keeps it until it is silent too long', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const client = world.client('client');
    settled(world, server, client);
    client.signal('SIGTERM');
    expect(client.signals).toMatchObject([{ signal: 'SIGTERM', source: 'hard' }]);
    world.advanceSeconds(60);
    expect(server.modules.tunnel.population.all).toBe(1);
    world.advanceSeconds(65);
    expect(server.modules.tunnel.population.all).toBe(0);
  });
});
