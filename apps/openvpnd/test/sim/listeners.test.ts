import { ADDRESS_PORT } from '@openvpnd/memory';
import { describe, expect, test } from 'vitest';
import { SERVER_HOST, tlsCrypt } from './sim-config.js';
import { SimWorld } from './sim-world.js';

const TWO = ['<listen>', 'port 1195', ...tlsCrypt(1), 'tag one', '</listen>'].concat([
  '<listen>',
  'port 1196',
  ...tlsCrypt(2),
  'tag two',
  'max-clients 1',
  'connect-freq 2 60',
  '</listen>',
]);

function at(port: number, key?: number): readonly string[] {
  return [`remote ${SERVER_HOST} ${port}`, ...(key === undefined ? [] : tlsCrypt(key))];
}

describe('a server with several listeners', () => {
  test('has one table of clients: those of one listener reach those of the others', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['client-to-client', ...TWO] });
    const clients = [
      world.client('plain', { config: at(1194) }),
      world.client('one', { config: at(1195, 1) }),
      world.client('two', { config: at(1196, 2) }),
    ];
    world.until('connected', () => clients.every((client) => client.connected), 30);
    const flows = clients.flatMap((from) =>
      clients.filter((to) => to !== from).map((to) => world.traffic.flow(from.name, to.name, { intervalMs: 200 })),
    );
    world.finishTraffic(5);
    expect(flows.map(({ lost }) => lost)).toEqual(flows.map(() => 0));
    const status = [...server.modules.tunnel.status()].sort((a, b) => a.clientId - b.clientId);
    expect(new Map(status.map(({ commonName, listener }) => [commonName, listener]))).toEqual(
      new Map([
        ['plain', undefined],
        ['one', 'one'],
        ['two', 'two'],
      ]),
    );
  });

  test('has a key for each: that of another listener opens nothing', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: TWO });
    const strangers = [
      world.client('without', { config: at(1195) }),
      world.client('wrong', { config: at(1195, 2) }),
      world.client('needless', { config: at(1194, 1) }),
    ];
    const guest = world.client('right', { config: at(1195, 1) });
    world.until('connected', () => guest.connected, 30);
    world.advanceSeconds(20);
    expect(strangers.map(({ connected }) => connected)).toEqual([false, false, false]);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
  });

  test('has limits for each, beside its own', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: ['max-clients 2', ...TWO] });
    const first = world.client('first', { config: at(1196, 2) });
    world.until('connected', () => first.connected, 30);
    const second = world.client('second', { config: at(1196, 2) });
    world.advanceSeconds(5);
    expect(second.connected).toBe(false);
    expect(world.journal.of('server.full')[0]).toMatchObject({ fields: { maxClients: 1, listener: 'two' } });
    const third = world.client('third', { config: at(1195, 1) });
    world.until('connected', () => third.connected, 30);
    const fourth = world.client('fourth', { config: at(1195, 1) });
    world.advanceSeconds(5);
    expect(fourth.connected).toBe(false);
    // Who goes makes room.
    first.signal('SIGTERM');
    fourth.kill();
    world.until('gone', () => server.connected === 1, 200);
    world.until('connected', () => second.connected, 200);
  });

  test('counts no client twice that had to make room for another', () => {
    const world = new SimWorld({ seed: 1, conditions: { delayMs: 20 } });
    const blocks = ['<listen>', 'port 1195', ...tlsCrypt(1), 'max-clients 2', '</listen>'];
    const server = world.server({ config: ['max-clients 2', 'hand-window 20', ...blocks] });
    // Half-open ones, which never answer again and have to go for each other and for those who do.
    for (let ghosts = 0; ghosts < 5; ghosts += 1) {
      const ghost = world.client(`ghost${ghosts}`, { config: at(1195, 1) });
      const begun = (): boolean => server.modules.tunnel.status().some(({ clientId }) => clientId === ghosts);
      world.until('begun', begun, 5);
      ghost.kill();
    }
    expect(server.modules.tunnel.population).toEqual({ connected: 0, all: 2 });
    const guests = [0, 1].map((number) => world.client(`guest${number}`, { config: at(1195, 1) }));
    world.until('connected', () => guests.every(({ connected }) => connected), 120);
    for (const guest of guests) guest.signal('SIGTERM');
    world.until('gone', () => server.modules.tunnel.population.all === 0, 300);
    const again = [0, 1].map((number) => world.client(`again${number}`, { config: at(1195, 1) }));
    world.until('connected', () => again.every(({ connected }) => connected), 120);
  });

  test('lets nobody float from one to another', () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ config: TWO });
    const client = world.client('one', { config: at(1195, 1) });
    world.until('connected', () => client.connected, 30);
    const elsewhere = world.network.openLink('203.0.113.9', 4000);
    const [, own, other] = server.run.links;
    // Its own packets are late: the copies are the fresh ones, and come to the other listener.
    world.network.setConditions(client.link, own, { delayMs: 300 });
    let copies = 0;
    world.network.tap((packet, _from, to) => {
      if (packet[0] >> 3 !== 9 || to[ADDRESS_PORT] !== 1195) return;
      copies += 1;
      elsewhere.send(packet, world.network.publicAddress(other));
    });
    const flow = world.traffic.flow('server', 'one', { intervalMs: 500 });
    world.advanceSeconds(12);
    expect(copies).toBeGreaterThan(0);
    expect(world.journal.of('server.float-refused').length).toBe(copies);
    expect(world.journal.of('server.float')).toEqual([]);
    world.finishTraffic(1);
    expect(flow.lost).toBe(0);
  });
});
