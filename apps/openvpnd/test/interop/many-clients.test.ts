import { fileURLToPath } from 'node:url';
import { clientConfig, Lab, labReady, PATIENCE_MS, ping, startPing, writeConfig } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { receiveBufferBytes } from '../../src/server/receive-buffers.js';
import { type Program, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
/** Many clients in one process. */
const CROWD = fileURLToPath(new URL('../../../../bench/crowd-clients.mjs', import.meta.url));
/** Both programs as clients of one server. */
const FIVE: readonly Program[] = ['openvpn', 'openvpnd', 'openvpn', 'openvpnd', 'openvpn'];

describe.skipIf(!ready)('a server of ours with many clients', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('five at once, apart without client-to-client', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 5 });
      await site.startServer('openvpnd');
      const clients = await Promise.all(FIVE.map((program, index) => site.startClient(program, index)));
      await Promise.all(clients.map((client) => client.waitForLine(UP, UP_TIMEOUT_MS)));
      const addresses = await Promise.all(FIVE.map((_, index) => site.tunnelAddress(index, 4)));
      expect(new Set(addresses).size).toBe(5);
      const results = await Promise.all(site.clientPlaces.map((place) => ping(place, '10.8.0.1', { count: 10 })));
      expect(results.map((result) => result.received)).toEqual([10, 10, 10, 10, 10]);
      // The server's own system does not forward, so nobody reaches a neighbour.
      const neighbour = await ping(site.clientPlaces[0], addresses[1], { count: 2, patienceMs: 2000 });
      expect(neighbour.received).toBe(0);
    }));

  test.each(['openvpnd', 'openvpn'] as const)(
    'a crowd of 40 comes at once to %s, and who is there loses nothing',
    (program) =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        // Stock's own limit on first packets is 100 in ten seconds, and its receive buffer one for a machine that does not rest.
        await site.startServer(program, ['duplicate-cn', ...(program === 'openvpn' ? ['rcvbuf 4194304'] : [])]);
        await site.connectClient('openvpn', 0);
        const receiveBuffer = async (): Promise<number> => {
          const { stdout } = await site.serverPlace.run('ss', ['-Hunapm', 'sport = :1194'], PATIENCE_MS);
          return Number(/skmem:\(r\d+,rb(\d+)/.exec(stdout)?.[1]);
        };
        const ofOne = await receiveBuffer();
        const { cert, key } = await tls.client('crowd');
        const file = writeConfig(
          lab.directory,
          'crowd.conf',
          clientConfig({
            identity: { ca: tls.pki.ca, cert, key },
            proto: site.proto,
            remote: site.serverAddresses.ipv4,
          }),
        );
        const pings = startPing(site.clientPlaces[0], '10.8.0.1', { interval: 0.05 });
        const crowd = site.clientPlaces[1].start(process.execPath, [CROWD, '--config', file, '--count', '40']);
        const [line] = await crowd.waitForLine(/^\{"connected".*$/, 60_000);
        expect(JSON.parse(line)).toMatchObject({ connected: 40 });
        // The system counts twice what was asked for.
        const expected =
          program === 'openvpnd' ? [2 * receiveBufferBytes(1), 2 * receiveBufferBytes(41)] : [ofOne, ofOne];
        expect([ofOne, await receiveBuffer()]).toEqual(expected);
        const { sent, received } = await pings.finish();
        expect(received).toBe(sent);
      }),
  );

  test('client-to-client reaches every neighbour over IPv4 and IPv6', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 3 });
      await site.startServer('openvpnd', ['client-to-client']);
      for (const [index, program] of (['openvpn', 'openvpnd', 'openvpn'] as const).entries()) {
        await site.connectClient(program, index);
      }
      for (const [from, to] of [
        [0, 1],
        [1, 2],
        [2, 0],
      ] as const) {
        for (const family of [4, 6] as const) {
          const result = await ping(site.clientPlaces[from], await site.tunnelAddress(to, family), { count: 5 });
          expect(result.received).toBe(5);
        }
      }
    }));

  test('one client that restarts disturbs no other', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      const server = await site.startServer('openvpnd');
      await site.connectClient('openvpn', 0);
      const restless = await site.connectClient('openvpnd', 1);
      const pinging = ping(site.clientPlaces[0], '10.8.0.1', { interval: 0.02, count: 400 });
      for (let i = 0; i < 3; i++) {
        const from = restless.lines.length;
        restless.signal('SIGUSR1');
        await restless.waitForLine(UP, UP_TIMEOUT_MS, from);
      }
      expect((await pinging).received).toBe(400);
      expect((await ping(site.clientPlaces[1], '10.8.0.1', { count: 3 })).received).toBe(3);
      await server.waitForExactly(/Peer Connection Initiated with/, 5);
    }));

  for (const client of ['openvpn', 'openvpnd'] as const) {
    test(`the server is killed and restarted: ${client} comes back`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const first = await site.startServer('openvpnd', ['keepalive 1 4']);
        const end = await site.connectClient(client);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
        first.signal('SIGKILL');
        await first.waitForEnd();
        const from = end.lines.length;
        await site.startServer('openvpnd', ['keepalive 1 4']);
        await end.waitForLine(/SIGUSR1\[soft,ping-restart\] received, process restarting/, 20_000, from);
        await end.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
      }));

    test(`the server restarts in order: ${client} follows at once`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const first = await site.startServer('openvpnd', ['explicit-exit-notify 1']);
        const end = await site.connectClient(client);
        const from = end.lines.length;
        first.signal('SIGTERM');
        expect((await first.waitForEnd()).status).toBe(0);
        await site.startServer('openvpnd', ['explicit-exit-notify 1']);
        await end.waitForLine(
          /SIGUSR1\[soft,server-pushed-connection-reset\] received, process restarting/,
          PATIENCE_MS,
          from,
        );
        await end.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
      }));

    test(`a client that says goodbye is forgotten: ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer('openvpnd');
        const end = await site.connectClient(client, 0, ['explicit-exit-notify 1']);
        end.signal('SIGTERM');
        await server.waitForLine(/CC-EEN exit message received by peer/);
        await server.waitForLine(/SIGTERM\[soft,delayed-exit\] received, client-instance exiting/);
        expect((await end.waitForEnd()).status).toBe(0);
      }));
  }
});
