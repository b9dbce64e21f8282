import { endpointOf } from '@openvpnd/external-mux';
import { describe, expect, test } from 'vitest';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

function connected(world: SimWorld, count: number, config: readonly string[] = []) {
  const server = world.server({ config });
  const clients = world.clients(count);
  world.until('connected', () => server.connected === count && clients.every((client) => client.connected), 30);
  return { server, clients };
}

describe('a NAT that forgets', () => {
  test('the tunnel moves with the client: what the server sends is lost until it hears from there, and nothing else', () => {
    const world = new SimWorld({ seed: 1, conditions: { delayMs: 10 } });
    const { server, clients } = connected(world, 2);
    const [client] = clients;
    const [up, down] = world.traffic.between('client0', 'server', { intervalMs: 100 });
    const others = world.traffic.between('client1', 'server', { intervalMs: 100 });
    for (let move = 0; move < 10; move += 1) {
      world.advanceSeconds(5);
      world.network.rebind(client.link);
    }
    world.finishTraffic(5);
    expect(up.lost).toBe(0);
    expect(down.lost).toBeGreaterThan(0);
    expect(down.lost).toBeLessThanOrEqual(20);
    expect(others.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(world.journal.of('server.float')).toHaveLength(10);
    expect(client.signals).toEqual([]);
    expect(server.modules.tunnel.population).toEqual({ connected: 2, all: 2 });
  });

  test('an idle tunnel moves with its next ping', () => {
    const world = new SimWorld({ seed: 1 });
    const { clients } = connected(world, 1);
    world.network.rebind(clients[0].link);
    world.advanceSeconds(11);
    expect(world.journal.of('server.float')).toHaveLength(1);
    const flow = world.traffic.flow('server', 'client0', { intervalMs: 100 });
    world.finishTraffic(2);
    expect(flow.lost).toBe(0);
  });

  test('a renegotiation goes on at the new address', () => {
    const world = new SimWorld({ seed: 1 });
    const { clients } = connected(world, 1, ['reneg-sec 60']);
    const flows = world.traffic.between('client0', 'server', { intervalMs: 500 });
    for (let move = 0; move < 20; move += 1) {
      world.advanceSeconds(20);
      world.network.rebind(clients[0].link);
    }
    world.finishTraffic(120);
    expect(clients[0].signals).toEqual([]);
    expect(world.journal.of('tls.soft-reset', 'server').length).toBeGreaterThan(6);
    expect(flows[0].lost).toBe(0);
  });
});

describe('an address that is taken', () => {
  test('by an older session of the same user: it ends, and the newer one moves there', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['duplicate-cn'] });
    const [older, newer] = ['older', 'newer'].map((name) => world.client(name, { commonName: 'same' }));
    world.until('connected', () => older.connected && newer.connected, 30);
    const home = endpointOf(world.network.publicAddress(older.link));
    older.kill();
    world.network.rebind(newer.link, home?.port, home?.address);
    const flow = world.traffic.flow('newer', 'server', { intervalMs: 200 });
    world.finishTraffic(3);
    expect(flow.lost).toBe(0);
    expect(world.journal.of('server.float-collision')).toHaveLength(1);
    expect(world.journal.of('server.float')).toHaveLength(1);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
  });

  test('by a session of another user, dead or not: it stays, and nobody moves', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['duplicate-cn'] });
    const [older, newer] = ['older', 'newer'].map((name) => world.client(name));
    world.until('connected', () => older.connected && newer.connected, 30);
    const home = endpointOf(world.network.publicAddress(older.link));
    older.kill();
    world.network.rebind(newer.link, home?.port, home?.address);
    world.traffic.flow('newer', 'server', { intervalMs: 200 });
    world.finishTraffic(3);
    expect(world.journal.of('server.float-refused').length).toBeGreaterThan(0);
    expect(world.journal.of('server.float')).toEqual([]);
    expect(server.modules.tunnel.population).toEqual({ connected: 2, all: 2 });
  });
});

describe('what moves nobody', () => {
  test('packets with the number of a client, but not under its key', () => {
    const world = new SimWorld({ seed: 1 });
    const { server } = connected(world, 1);
    const flows = world.traffic.between('client0', 'server', { intervalMs: 50 });
    const stranger = world.network.openLink('203.0.113.9', 4000);
    const random = world.random.fork('attacker');
    const packet = new Uint8Array(100);
    const to = world.network.publicAddress(server.run.link);
    for (let round = 0; round < 100; round += 1) {
      random.fill(packet);
      packet.set([(9 << 3) | 0, 0, 0, 0]);
      stranger.send(packet, to);
      world.advanceSeconds(0.05);
    }
    world.finishTraffic(1);
    expect(world.journal.of('server.float')).toEqual([]);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(server.modules.dataChannel.drops()['not-authentic']).toBe(100);
  });

  test('copies of its real packets from elsewhere', () => {
    const world = new SimWorld({ seed: 1 });
    const { server, clients } = connected(world, 1);
    const stranger = world.network.openLink('203.0.113.9', 4000);
    const home = world.network.publicAddress(clients[0].link);
    const to = world.network.publicAddress(server.run.link);
    let copies = 0;
    world.network.tap((packet, from) => {
      if (from[1] !== home[1] || packet[0] >> 3 !== 9) return;
      const copy = packet.slice();
      copies += 1;
      world.clock.schedule(world.clock.now() + 5, () => stranger.send(copy, to));
    });
    const flows = world.traffic.between('client0', 'server', { intervalMs: 50 });
    world.finishTraffic(10);
    expect(copies).toBeGreaterThan(190);
    expect(world.journal.of('server.float')).toEqual([]);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    expect(server.modules.dataChannel.drops()['id-seen']).toBe(copies);
  });

  test('the address of another client', () => {
    const world = new SimWorld({ seed: 1 });
    const { server, clients } = connected(world, 2);
    world.network.swapAddresses(clients[0].link, clients[1].link);
    const up = clients.map(({ name }) => world.traffic.flow(name, 'server', { intervalMs: 500 }));
    const down = clients.map(({ name }) => world.traffic.flow('server', name, { intervalMs: 500 }));
    world.finishTraffic(10);
    expect(world.journal.of('server.float')).toEqual([]);
    expect(world.journal.of('server.float-refused').length).toBeGreaterThan(0);
    // Who they are is proven, so what they send is taken; what is sent to them cannot be opened by the other.
    expect(up.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(down.map((flow) => flow.arrived.size)).toEqual([0, 0]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    // They notice, and come back from sockets of their own.
    world.until('restarted', () => clients.every((client) => client.connectedAt.length === 2), 90);
    world.advanceSeconds(1);
    expect(server.modules.tunnel.population.all).toBe(2);
  });

  test('the address of another client, for clients that are bound to their port', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server();
    const clients = [1, 2].map((number) =>
      world.client(`client${number}`, { port: 5000 + number, host: '198.51.1.1' }),
    );
    world.until('connected', () => clients.every((client) => client.connected), 30);
    for (const client of clients) client.kill();
    // Each has the other's place now.
    const swapped = [2, 1].map((number) =>
      world.client(`again${number}`, { port: 5000 + number, host: '198.51.1.1', commonName: `client${3 - number}` }),
    );
    world.until('both in', () => swapped.every((client) => client.connected), 300);
    world.advanceSeconds(1);
    expect(server.modules.tunnel.population).toEqual({ connected: 2, all: 2 });
  });
});
