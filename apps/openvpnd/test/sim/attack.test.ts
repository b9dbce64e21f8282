import { linkAddress, parseEndpoint } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import {
  emitControlPacket,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_V1,
} from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { Attacker } from './attacker.js';
import type { SimClient } from './sim-client.js';
import { TLS_AUTH, TLS_CRYPT } from './sim-config.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

const RENEGOTIATE = ['reneg-sec 20'];

interface Scene {
  readonly world: SimWorld;
  readonly server: SimServer;
  readonly victim: SimClient;
  readonly other: SimClient;
  readonly attacker: Attacker;
}

/** A server with two clients, both exchanging packets and renegotiating all the time, and an attacker who listens. */
function scene(wrap: readonly string[], seed = 1): Scene {
  const world = new SimWorld({ seed });
  const attacker = new Attacker(world);
  attacker.listen();
  const server = world.server({ config: [...wrap, ...RENEGOTIATE] });
  const [victim, other] = ['victim', 'other'].map((name) => world.client(name, { config: [...wrap, ...RENEGOTIATE] }));
  world.until('connected', () => victim.connected && other.connected && server.connected === 2, 10);
  for (const name of ['victim', 'other']) world.traffic.between(name, 'server', { intervalMs: 100 });
  return { world, server, victim, other, attacker };
}

function addressOf(world: SimWorld, peer: SimClient | SimServer): LinkAddress {
  return world.network.publicAddress(peer.run.link);
}

/** Some address from which nobody has spoken. */
function elsewhere(attacker: Attacker): LinkAddress {
  const endpoint = parseEndpoint(`203.0.113.${attacker.random.below(256)}`, 1024 + attacker.random.below(60_000));
  if (endpoint === undefined) throw new TypeError('an address is an address');
  return linkAddress(endpoint);
}

/** Nobody lost a packet or a session, and both renegotiated meanwhile. */
function expectUndisturbed({ world, server, victim, other }: Scene): void {
  expect(world.traffic.flows.map((flow) => flow.lost)).toEqual([0, 0, 0, 0]);
  expect(world.traffic.faults).toEqual(NO_FAULTS);
  for (const { name, signals, connectedAt } of [victim, other]) {
    expect(signals, name).toEqual([]);
    expect(connectedAt, name).toHaveLength(1);
  }
  expect(server.modules.tunnel.population.connected).toBeGreaterThanOrEqual(2);
  const about = new Set(world.journal.of('tls.soft-reset', 'server').map(({ fields }) => fields.about));
  expect(about.size).toBeGreaterThanOrEqual(2);
}

describe.each([
  ['without a wrap', [] as readonly string[]],
  ['with tls-crypt', TLS_CRYPT],
])('resets %s', (_, wrap) => {
  test('from the exact address of a live client never disturb it', () => {
    const set = scene(wrap);
    const { world, server, victim, attacker } = set;
    const from = addressOf(world, victim);
    const to = server.run.link;
    attacker.flood(5000, 60, to, from, () => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V2));
    attacker.flood(500, 60, to, from, () => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V3));
    attacker.flood(500, 60, to, from, () => attacker.reset(P_CONTROL_HARD_RESET_SERVER_V2));
    world.finishTraffic(60);
    expect(attacker.sent).toBe(6000);
    expectUndisturbed(set);
  });

  test('from the address of the server never disturb a client', () => {
    const set = scene(wrap);
    const { world, server, victim, attacker } = set;
    const from = addressOf(world, server);
    attacker.flood(5000, 60, victim.link, from, () => attacker.reset(P_CONTROL_HARD_RESET_SERVER_V2));
    attacker.flood(500, 60, victim.link, from, () => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V2));
    world.finishTraffic(60);
    expectUndisturbed(set);
  });

  test('from everywhere: no state is kept, and an honest newcomer still gets in', () => {
    const set = scene(wrap);
    const { world, server, attacker } = set;
    attacker.flood(
      30_000,
      60,
      server.run.link,
      () => elsewhere(attacker),
      () => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V2),
    );
    world.advanceSeconds(30);
    expect(server.modules.tunnel.population.all).toBe(2);
    const late = world.client('late', { config: wrap });
    world.until('let in', () => late.connected, 10);
    late.kill();
    world.finishTraffic(20);
    expectUndisturbed(set);
    expect(server.modules.tunnel.population.all).toBe(3);
  });
});

describe.each([
  ['without a wrap', [] as readonly string[]],
  ['with tls-auth', TLS_AUTH],
  ['with tls-crypt', TLS_CRYPT],
])('a client that has lost its state, %s,', (_, wrap) => {
  /** Connects a client, kills it, starts it again at the same port, and tells how long it takes to connect. */
  function timeOfReturn(attack: (attacker: Attacker, server: SimServer, from: LinkAddress) => void): number {
    const world = new SimWorld({ seed: 1, conditions: { delayMs: 20 } });
    const attacker = new Attacker(world);
    attacker.listen();
    const server = world.server({ config: wrap });
    const client = world.client('client', { config: wrap, port: 5000 });
    world.until('connected', () => client.connected && server.connected === 1, 10);
    attack(attacker, server, addressOf(world, client));
    world.advanceSeconds(2.3);
    client.kill();
    world.advanceSeconds(1);
    client.start();
    const begin = world.clock.now();
    world.until('connected again', () => client.connected, 200);
    const elapsed = world.clock.now() - begin;
    const flows = world.traffic.between('client', 'server', { intervalMs: 100 });
    world.finishTraffic(5);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
    expect(server.modules.tunnel.population).toEqual({ connected: 1, all: 1 });
    return elapsed;
  }

  const undisturbed = timeOfReturn(() => {});

  test('comes back among resets that are forged in its name, after one repetition of its own', () => {
    expect(undisturbed).toBeLessThan(1000);
    const reset = (attacker: Attacker) => (): Uint8Array => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V2);
    const elapsed = timeOfReturn((attacker, server, from) => {
      attacker.flood(10_000, 20, server.run.link, from, reset(attacker));
    });
    expect(elapsed - undisturbed).toBeLessThanOrEqual(wrap.length === 0 ? 600 : 0);
  });

  test('comes back as fast among repetitions of what it has sent itself', () => {
    const elapsed = timeOfReturn((attacker, server, from) => {
      // Its first reset, over and over.
      const first = attacker.seen[0]?.slice() ?? new Uint8Array(0);
      attacker.flood(10_000, 20, server.run.link, from, () => first);
    });
    expect(elapsed).toBe(undisturbed);
  });
});

test('a reset in the name of a client makes no session, a cookie does', () => {
  const world = new SimWorld({ seed: 1 });
  const attacker = new Attacker(world);
  const server = world.server();
  const client = world.client('client', { port: 5000 });
  world.until('connected', () => client.connected && server.connected === 1, 10);
  const from = addressOf(world, client);
  attacker.flood(100, 5, server.run.link, from, () => attacker.reset(P_CONTROL_HARD_RESET_CLIENT_V2));
  // A cookie that nobody has given.
  attacker.flood(100, 5, server.run.link, from, () =>
    emitControlPacket({
      opcode: P_CONTROL_V1,
      keyId: 0,
      sessionId: attacker.bytes(8),
      acks: [0],
      remoteSessionId: attacker.bytes(8),
      messageId: 1,
      payload: new Uint8Array(0),
    }),
  );
  world.advanceSeconds(6);
  expect(world.journal.of('session.incoming', 'server')).toEqual([]);
  client.kill();
  client.start();
  world.until('connected again', () => client.connected, 5);
  expect(world.journal.of('session.incoming', 'server')).toHaveLength(1);
});

describe('garbage', () => {
  test('from strangers is counted, and nobody notices', () => {
    const set = scene([]);
    const { world, server, victim, attacker } = set;
    attacker.flood(
      20_000,
      30,
      server.run.link,
      () => elsewhere(attacker),
      () => attacker.garbage(),
    );
    attacker.flood(
      5000,
      30,
      victim.link,
      () => elsewhere(attacker),
      () => attacker.garbage(),
    );
    world.finishTraffic(40);
    expectUndisturbed(set);
    const drops = server.modules.mux.dropCounts();
    for (const code of ['short', 'opcode', 'unknown-source', 'unknown-peer', 'no-opening'] as const) {
      expect(drops[code], code).toBeGreaterThan(50);
    }
    expect(server.modules.tunnel.population.all).toBe(2);
  });

  test.each([
    ['without a wrap', [] as readonly string[]],
    ['with tls-crypt', TLS_CRYPT],
  ])('from the address of a client, and from that of the server, %s', (_, wrap) => {
    const set = scene(wrap);
    const { world, server, victim, attacker } = set;
    attacker.flood(10_000, 30, server.run.link, addressOf(world, victim), () => attacker.garbage());
    attacker.flood(10_000, 30, victim.link, addressOf(world, server), () => attacker.garbage());
    world.finishTraffic(40);
    expectUndisturbed(set);
    expect(server.modules.dataChannel.drops()['no-key']).toBeGreaterThan(100);
    expect(victim.modules.dataChannel.drops()['no-key']).toBeGreaterThan(100);
  });
});

describe('changed copies of real packets', () => {
  test('with tls-crypt they disturb nobody, from wherever they come', () => {
    const set = scene(TLS_CRYPT);
    const { world, server, victim, attacker } = set;
    attacker.flood(
      10_000,
      60,
      server.run.link,
      () => elsewhere(attacker),
      () => attacker.mutant(),
    );
    attacker.flood(10_000, 60, server.run.link, addressOf(world, victim), () => attacker.mutant());
    attacker.flood(10_000, 60, victim.link, addressOf(world, server), () => attacker.mutant());
    world.finishTraffic(60);
    expectUndisturbed(set);
    expect(server.modules.dataChannel.drops()['not-authentic']).toBeGreaterThan(500);
  });

  test('without a wrap a client may lose by what is forged in its own name, others never', () => {
    const set = scene([]);
    const { world, server, victim, other, attacker } = set;
    attacker.flood(
      10_000,
      60,
      server.run.link,
      () => elsewhere(attacker),
      () => attacker.mutant(),
    );
    attacker.flood(10_000, 60, server.run.link, addressOf(world, victim), () => attacker.mutant());
    attacker.flood(10_000, 60, victim.link, addressOf(world, server), () => attacker.mutant());
    world.finishTraffic(60);
    const lost = world.traffic.flows.map((flow) => flow.lost);
    expect(lost.slice(2)).toEqual([0, 0]);
    expect(other.signals).toEqual([]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    // When it is over the victim is well again, or soon will be.
    world.until('well', () => victim.connected && server.connected >= 2, 120);
    const flows = world.traffic.between('victim', 'server', { intervalMs: 100 });
    world.finishTraffic(5);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0]);
  });

  test('whole copies are played back in vain', () => {
    const set = scene(TLS_CRYPT);
    const { world, server, victim, attacker } = set;
    attacker.flood(
      10_000,
      60,
      server.run.link,
      () => elsewhere(attacker),
      () => attacker.copy(),
    );
    attacker.flood(10_000, 60, server.run.link, addressOf(world, victim), () => attacker.copy());
    attacker.flood(10_000, 60, victim.link, addressOf(world, server), () => attacker.copy());
    world.finishTraffic(60);
    expectUndisturbed(set);
    expect(server.modules.dataChannel.drops()['id-seen']).toBeGreaterThan(100);
  });
});
