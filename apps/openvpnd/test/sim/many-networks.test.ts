import { parseClientConfig } from '@openvpnd/config';
import { describe, expect, test } from 'vitest';
import type { ClientConfigAnswer } from '../../src/server/client-config.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

function connected(count: number, config: readonly string[], clientConfig?: (name: string) => ClientConfigAnswer) {
  const world = new SimWorld({ seed: 1 });
  const server = world.server({ config, clientConfig });
  const clients = world.clients(count);
  world.until('connected', () => server.connected === count && clients.every((client) => client.connected), 30);
  return { world, server, clients };
}

describe('--client-to-client', () => {
  test.each([4, 6] as const)('everybody reaches everybody, past the device of the server (IPv%i)', (family) => {
    const { world, server, clients } = connected(6, ['client-to-client']);
    for (const { name: from } of clients) {
      for (const { name: to } of clients) {
        if (from !== to) world.traffic.flow(from, to, { intervalMs: 200, family });
      }
    }
    world.finishTraffic(4);
    expect(world.traffic.flows).toHaveLength(30);
    expect(world.traffic.sent).toBe(600);
    expect(world.traffic.lost).toBe(0);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    expect(server.device.counters.written).toBe(0);
  });

  test('without it the server’s system decides: the packets come out of its device', () => {
    const { world, server } = connected(2, []);
    const flow = world.traffic.flow('client0', 'client1', { intervalMs: 200 });
    world.finishTraffic(2);
    expect(flow.arrived.size).toBe(0);
    expect(server.device.counters.written).toBe(10);
    expect(world.traffic.misdelivered).toBe(10);
  });

  test('while all renegotiate on a bad network, what arrives is right', () => {
    const { world, clients } = connected(6, ['client-to-client', 'reneg-sec 20']);
    world.network.conditions = {
      ...world.network.conditions,
      loss: 0.05,
      reorder: 0.1,
      reorderMs: 30,
      duplicate: 0.05,
    };
    for (const [index, { name }] of clients.entries()) {
      world.traffic.between(name, clients[(index + 1) % 6].name, { intervalMs: 500 });
    }
    world.finishTraffic(120);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    // Two paths, each of which loses a twentieth.
    expect(world.traffic.lost / world.traffic.sent).toBeLessThan(0.13);
    expect(world.journal.of('signal')).toEqual([]);
  });
});

describe('who a client may be', () => {
  test('its own address and the networks behind it, and nobody else', () => {
    const { config } = parseClientConfig('iroute 192.168.7.0 255.255.255.0\n', 'client0');
    const { world, server } = connected(2, [], (name) =>
      name === 'client0' ? { type: 'found', config } : { type: 'none' },
    );
    const host = { device: world.hostDevice('client0'), addresses: () => ({ ipv4: '192.168.7.9', ipv6: undefined }) };
    world.traffic.addHost('behind', host);
    const [out] = world.traffic.between('behind', 'server', { intervalMs: 100 });
    const forged = { device: world.hostDevice('client1'), addresses: host.addresses };
    world.traffic.addHost('liar', forged);
    const lie = world.traffic.flow('liar', 'server', { intervalMs: 100 });
    world.finishTraffic(2);
    expect(out.lost).toBe(0);
    // The way back leads to client0's device, where it is for somebody behind.
    expect(world.traffic.misdelivered).toBe(20);
    expect(lie.arrived.size).toBe(0);
    expect(server.modules.internalMux.dropCounts().source).toBe(20);
  });

  test('fixed addresses by its configuration', () => {
    const { config } = parseClientConfig(
      'ifconfig-push 10.8.200.7 255.255.0.0\nifconfig-ipv6-push fd00:8::abcd/64\n',
      'x',
    );
    const { world, clients } = connected(2, [], (name) =>
      name === 'client1' ? { type: 'found', config } : { type: 'none' },
    );
    expect(clients[1].addresses).toEqual({ ipv4: '10.8.200.7', ipv6: 'fd00:8::abcd' });
    expect(clients[0].addresses.ipv4).toBe('10.8.0.2');
    world.traffic.between('client1', 'server', { intervalMs: 100 });
    world.traffic.between('client1', 'server', { intervalMs: 100, family: 6 });
    world.finishTraffic(2);
    expect(world.traffic.lost).toBe(0);
  });
});
