import { describe, expect, test } from 'vitest';
import type { PushUpdateResult, PushUpdateTarget } from '../../src/server/push-updates.js';
import type { SimClient } from './sim-client.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

interface Scene {
  readonly world: SimWorld;
  readonly server: SimServer;
  readonly one: SimClient;
  readonly two: SimClient;
}

function scene(
  config: readonly string[] = [],
  conditions: ConstructorParameters<typeof SimWorld>[0] = { seed: 1 },
): Scene {
  const world = new SimWorld(conditions);
  const server = world.server({ config: ['push "route 10.9.0.0 255.255.0.0"', 'push "dhcp-option DNS 10.8.0.1"'] });
  const [one, two] = [world.client('one', { config }), world.client('two', { config })];
  world.until('connected', () => server.connected === 2 && one.connected && two.connected, 60);
  return { world, server, one, two };
}

function push({ server, world }: Scene, target: PushUpdateTarget, ...options: string[]): PushUpdateResult {
  const { result, actions } = server.run.tunnel.pushUpdate(world.clock.now(), target, options);
  server.run.execute(actions);
  return result;
}

function idOf({ server }: Scene, { name }: SimClient): number {
  const status = server.run.tunnel.status().find(({ commonName }) => commonName === name);
  if (status === undefined) throw new Error(`${name} is not connected`);
  return status.clientId;
}

function networks(client: SimClient): readonly string[] {
  return client.plan?.routes.map(({ network }) => network) ?? [];
}

describe('a server that changes what it has pushed', () => {
  test('tells all its clients, and their tunnels stand', () => {
    const set = scene();
    const { world, one, two } = set;
    const flows = world.traffic.between('one', 'server', { intervalMs: 20 });
    expect(networks(one)).toEqual(['10.9.0.0']);
    const routes = Array.from({ length: 60 }, (_, index) => `route 10.${100 + index}.0.0 255.255.0.0`);
    const result = push(set, 'all', '-dhcp-option', ...routes, 'keepalive 2 8', '?block-ipv6');
    expect(result).toEqual({ ok: true, told: [idOf(set, one), idOf(set, two)], unable: [] });
    world.finishTraffic(3);
    for (const client of [one, two]) {
      expect(networks(client)).toEqual(routes.map((route) => route.split(' ')[1]));
      expect(client.signals).toEqual([]);
      expect(world.journal.of('reconfigured', client.name)).toHaveLength(1);
    }
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    // The new keepalive counts: a dead server is noticed after 8 seconds, not 60.
    const at = world.clock.now();
    set.server.kill();
    world.until('noticed', () => one.signals.length > 0, 20);
    expect(one.signals[0]).toMatchObject({ text: 'ping-restart' });
    expect(world.clock.now() - at).toBeLessThan(10_000);
  });

  test('tells one of them only', () => {
    const set = scene();
    const { world, one, two } = set;
    expect(push(set, { clientId: idOf(set, two) }, '-route')).toMatchObject({ ok: true, told: [idOf(set, two)] });
    world.advanceSeconds(2);
    expect([networks(one), networks(two)]).toEqual([['10.9.0.0'], []]);
  });

  test('over a bad network, in the middle of a renegotiation', () => {
    const set = scene(['reneg-sec 5'], {
      seed: 4,
      conditions: { delayMs: 30, loss: 0.2, reorder: 0.1, reorderMs: 40 },
    });
    const { world, one } = set;
    for (let round = 0; round < 12; round += 1) {
      push(set, 'all', `route 10.${round}.0.0 255.255.0.0`);
      world.advanceSeconds(5.3);
    }
    world.advanceSeconds(20);
    expect(networks(one)).toEqual(['10.11.0.0']);
    expect(one.signals).toEqual([]);
  });

  test('gives a client another address, and packets find it there', () => {
    const set = scene();
    const { world, server, one, two } = set;
    const before = one.addresses.ipv4;
    expect(push(set, { clientId: idOf(set, one) }, 'ifconfig 10.8.7.7 255.255.0.0')).toMatchObject({ ok: true });
    world.advanceSeconds(2);
    expect(one.addresses.ipv4).toBe('10.8.7.7');
    expect(before).not.toBe('10.8.7.7');
    expect(server.run.tunnel.status().find(({ commonName }) => commonName === 'one')?.ipv4).toBe('10.8.7.7');
    const flows = world.traffic.between('one', 'server', { intervalMs: 20 });
    world.finishTraffic(2);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    // Nobody else gets it, and it cannot be given to all.
    const twice = push(set, { clientId: idOf(set, two) }, 'ifconfig 10.8.7.7 255.255.0.0');
    expect(twice).toEqual({ ok: false, reason: 'another client has that address' });
    expect(push(set, 'all', 'ifconfig 10.8.7.8 255.255.0.0')).toMatchObject({ ok: false });
    expect(push(set, 'all', '-ifconfig')).toMatchObject({ ok: false });
  });

  test.each([
    ['cipher AES-128-GCM', /'cipher' cannot be updated/],
    ['?cipher AES-128-GCM', /'cipher' cannot be updated, ignored/],
    ['?-dns', /'\?-' is not allowed/],
    ['route', /route/],
    ['route 10.1.0.0,route 10.2.0.0', /commas/],
    ['route 10.1.0.0\n', /control characters/],
    [`route 10.1.0.0 ${' '.repeat(2000)}`, /too long/],
  ])('refuses to send %s', (option, reason) => {
    const set = scene();
    const result = push(set, 'all', option);
    expect(result).toEqual({ ok: false, reason: expect.stringMatching(reason) });
    set.world.advanceSeconds(2);
    expect(set.one.signals).toEqual([]);
    expect(networks(set.one)).toEqual(['10.9.0.0']);
  });

  test('knows nobody by a wrong id', () => {
    const set = scene();
    expect(push(set, { clientId: 99 }, 'topology subnet')).toEqual({ ok: false, reason: 'no client has the id 99' });
  });
});

describe('a client that filters what it is pushed filters updates too', () => {
  test.each([
    ['pull-filter ignore "route 10.7"', ['10.9.0.0'], []],
    ['pull-filter ignore "dns"', ['10.7.0.0'], []],
    ['pull-filter reject "route 10.7"', undefined, ['process-push-msg-failed']],
  ] as const)('with %s', (rule, expected, signals) => {
    const set = scene([rule]);
    push(set, 'all', 'route 10.7.0.0 255.255.0.0');
    set.world.advanceSeconds(0.5);
    if (expected !== undefined) expect(networks(set.one)).toEqual(expected);
    expect(set.one.signals.map(({ text }) => text)).toEqual(signals);
    // It connects anew with what the server pushes to everybody.
    set.world.until('connected', () => set.one.connected, 10);
  });
});
