import { parseClientConfig } from '@openvpnd/config';
import type { LinkConditions, SeededRandom } from '@openvpnd/testkit';
import { expect, test } from 'vitest';
import type { ClientConfigAnswer } from '../../src/server/client-config.js';
import { Attacker } from './attacker.js';
import type { SimClient } from './sim-client.js';
import { TLS_CRYPT } from './sim-config.js';
import { LONG } from './sim-scale.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

const CLIENTS = 5;
const SEEDS = LONG ? 300 : 4;

function badWeather(random: SeededRandom): Partial<LinkConditions> {
  return {
    delayMs: random.below(100),
    jitterMs: random.below(50),
    loss: random.fraction() * 0.3,
    reorder: random.fraction() * 0.2,
    reorderMs: random.below(200),
    duplicate: random.fraction() * 0.1,
    corrupt: random.fraction() * 0.05,
    burst: random.fraction() * 0.002,
    burstMs: random.below(5000),
  };
}

/** Every second client uses the same port always, the others another each time. */
function isBound({ name }: SimClient): boolean {
  return Number(name.at(-1)) % 2 === 0;
}

/** Each client has its address for good: a restarted server would give it to whoever comes first. */
function fixedAddress(name: string): ClientConfigAnswer {
  const { config } = parseClientConfig(`ifconfig-push 10.8.1.${name.at(-1)} 255.255.0.0`, name);
  return { type: 'found', config };
}

/** Something happens that happens to tunnels. */
function mishap(world: SimWorld, random: SeededRandom, server: SimServer, clients: readonly SimClient[]): string {
  const client = clients[random.below(clients.length)];
  const what = random.below(10);
  switch (what) {
    case 0:
    case 1:
      client.kill();
      world.clock.schedule(world.clock.now() + random.below(3000), () => {
        if (!client.running) client.start();
      });
      return `${client.name} is killed`;
    case 2:
    case 3:
      if (client.running) world.network.rebind(client.link);
      return `${client.name} is behind a NAT that forgets`;
    case 4:
      if (client.running) client.signal('SIGUSR1');
      return `${client.name} restarts`;
    case 5: {
      const other = clients[random.below(clients.length)];
      if (isBound(client) || isBound(other)) return 'nothing';
      if (client !== other && client.running && other.running) world.network.swapAddresses(client.link, other.link);
      return `${client.name} and ${other.name} exchange addresses`;
    }
    case 6:
      if (!server.running) return 'nothing';
      if (random.chance(0.5)) server.kill();
      else server.signal('SIGUSR1');
      return 'the server restarts';
    case 7:
      world.network.conditions = { ...world.network.conditions, loss: 1 };
      return 'the network is down';
    default:
      world.network.conditions = { ...world.network.conditions, ...badWeather(random) };
      return 'the network changes';
  }
}

/** Ten minutes of mishaps, then a calm in which everybody must come back by itself. */
function story(seed: number): SimWorld {
  const world = new SimWorld({ seed });
  const random = world.random.fork('chaos');
  const attacker = new Attacker(world);
  attacker.listen();
  const wrap = random.chance(0.5) ? TLS_CRYPT : [];
  const config = [...wrap, `reneg-sec ${15 + random.below(60)}`, 'explicit-exit-notify 1', 'hand-window 20'];
  const server = world.server({
    clientConfig: fixedAddress,
    config: [...config, 'keepalive 5 20', 'client-to-client', `max-clients ${CLIENTS + 2}`],
  });
  const clients = Array.from({ length: CLIENTS }, (_, index) =>
    world.client(`client${index}`, { config, ...(index % 2 === 0 ? { port: 5000 } : {}) }),
  );
  for (const { name } of clients) world.traffic.between(name, 'server', { intervalMs: 500 });
  for (let event = 0; event < 60; event += 1) {
    world.journal.add('world', mishap(world, random, server, clients));
    world.advanceSeconds(random.below(20));
    if (!server.running) server.start();
    // Whole copies of what was on the wire, out of season.
    if (random.chance(0.3)) {
      attacker.flood(50, 5, server.run.link, world.network.publicAddress(server.run.link), () => attacker.copy());
    }
  }
  // A server that says goodbye takes two seconds.
  world.advanceSeconds(3);
  if (!server.running) server.start();
  world.network.conditions = {
    ...world.network.conditions,
    loss: 0,
    corrupt: 0,
    burst: 0,
    jitterMs: 0,
    reorder: 0,
    delayMs: 5,
  };
  for (const client of clients) if (client.signals.at(-1)?.signal === 'SIGTERM') client.start();
  world.until('everybody back', () => server.connected === CLIENTS && clients.every((client) => client.connected), 200);
  world.advanceSeconds(30);
  world.traffic.stop();
  const flows = clients.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 500 }));
  world.finishTraffic(60);
  expect(
    flows.map((flow) => flow.lost),
    `seed ${seed}\n${world.journal.tail()}`,
  ).toEqual(flows.map(() => 0));
  expect(world.traffic.faults).toEqual(NO_FAULTS);
  expect(server.modules.tunnel.population).toEqual({ connected: CLIENTS, all: CLIENTS });
  return world;
}

test.each(Array.from({ length: SEEDS }, (_, seed) => seed + 1))(
  'whatever happens, everybody comes back (seed %i)',

  (seed) => {
    story(seed);
  },
);
