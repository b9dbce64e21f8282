import { setImmediate as turn } from 'node:timers/promises';
import { nodeTlsEngineFactory } from '@openvpnd/control-tls/node';
import { ThrowAwayPki } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { TLS_CRYPT } from './sim-config.js';
import { SimWorld } from './sim-world.js';
import { NO_FAULTS } from './traffic.js';

let pki: ThrowAwayPki;
let otherPki: ThrowAwayPki;

beforeAll(async () => {
  pki = await ThrowAwayPki.create();
  otherPki = await ThrowAwayPki.create('Other CA');
});

type Version = '1.2' | '1.3';

async function engines(name: string, purpose: 'server' | 'client', version: Version, issuer = pki) {
  const { cert, key } = await issuer.issue(name, purpose);
  const [ca, ...own] = [pki.ca, cert, key].map((pem) => Buffer.from(pem));
  return nodeTlsEngineFactory({ ca, cert: own[0], key: own[1], minVersion: version, maxVersion: version });
}

/** As `until`, with turns of the real event loop between the steps of virtual time: that is where node's TLS works. */
async function until(world: SimWorld, what: string, condition: () => boolean, seconds: number): Promise<void> {
  const limit = world.clock.now() + seconds * 1000;
  while (!condition()) {
    if (world.clock.now() >= limit) throw new Error(`not ${what} within ${seconds} s\n${world.journal.tail()}`);
    world.clock.advanceBy(5);
    for (let turns = 0; turns < 4; turns += 1) await turn();
  }
}

/** Lets that much virtual time pass, with turns of the event loop. */
async function pass(world: SimWorld, seconds: number): Promise<void> {
  const end = world.clock.now() + seconds * 1000;
  await until(world, 'over', () => world.clock.now() >= end, seconds + 1);
}

describe.each(['1.2', '1.3'] as const)('with real TLS %s', (version) => {
  test('clients connect over a bad network, carry packets and renegotiate', async () => {
    const world = new SimWorld({ seed: 1, conditions: { delayMs: 20, loss: 0.1, reorder: 0.1, reorderMs: 40 } });
    const config = [...TLS_CRYPT, 'reneg-sec 15'];
    const server = world.server({ config, engines: await engines('server', 'server', version) });
    const clients = await Promise.all(
      [0, 1, 2].map(async (number) =>
        world.client(`client${number}`, { config, engines: await engines(`client${number}`, 'client', version) }),
      ),
    );
    await until(world, 'connected', () => server.connected === 3 && clients.every((one) => one.connected), 60);
    for (const { name } of clients) world.traffic.between(name, 'server', { intervalMs: 200 });
    await until(world, 'renegotiated', () => world.journal.of('tls.soft-reset').length >= 6, 120);
    // A clean end: what is sent now, under keys of a renegotiation, all arrives.
    world.traffic.stop();
    world.network.conditions = { ...world.network.conditions, loss: 0 };
    const flows = clients.flatMap(({ name }) => world.traffic.between(name, 'server', { intervalMs: 200 }));
    await pass(world, 4);
    world.traffic.stop();
    await pass(world, 1);
    expect(flows.map((flow) => flow.lost)).toEqual([0, 0, 0, 0, 0, 0]);
    expect(world.traffic.faults).toEqual(NO_FAULTS);
    expect(world.journal.of('signal')).toEqual([]);
    const { fields } = world.journal.of('tls.control-channel', 'client0')[0];
    expect(fields.version).toBe(`TLSv${version}`);
  });

  test('a client of another authority is refused, and the next is not', async () => {
    const world = new SimWorld({ seed: 1 });
    const server = world.server({ engines: await engines('server', 'server', version) });
    const bad = world.client('bad', { engines: await engines('bad', 'client', version, otherPki) });
    await until(world, 'refused', () => bad.signals.length > 0, 70);
    expect(bad.connectedAt).toEqual([]);
    bad.kill();
    const good = world.client('good', { engines: await engines('good', 'client', version) });
    await until(world, 'connected', () => good.connected && server.connected === 1, 10);
  });

  test('a server that shows the certificate of a client is not trusted', async () => {
    const world = new SimWorld({ seed: 1 });
    world.server({ engines: await engines('liar', 'client', version) });
    const client = world.client('client', { engines: await engines('client', 'client', version) });
    await until(world, 'refused', () => client.signals.length > 0, 70);
    expect(client.connectedAt).toEqual([]);
    expect(client.signals[0]).toMatchObject({ signal: 'SIGUSR1', text: 'tls-error' });
  });
});
