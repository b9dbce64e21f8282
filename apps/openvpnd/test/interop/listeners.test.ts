import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Proto, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const TRANSPORTS: readonly Proto[] = ['udp4', 'udp6', 'tcp4', 'tcp6'];

describe.skipIf(!ready)('one server on many sockets', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  /** Starts a stock client on each transport and waits until all are in. */
  async function connectAll(site: Site): Promise<void> {
    const clients = await Promise.all(
      TRANSPORTS.map((proto, index) => site.startClient('openvpn', index, [], { proto })),
    );
    await Promise.all(clients.map((client) => client.waitForLine(UP, UP_TIMEOUT_MS)));
  }

  /** Everybody pings the server and everybody else, in both families, all at once. */
  async function expectMesh(site: Site): Promise<void> {
    const pings: Promise<{ readonly received: number; readonly sent: number }>[] = [];
    for (const [index, place] of site.clientPlaces.entries()) {
      for (const [other] of site.clientPlaces.entries()) {
        if (other === index) continue;
        for (const family of [4, 6] as const) {
          pings.push(ping(place, await site.tunnelAddress(other, family), { count: 3 }));
        }
      }
      for (const target of ['10.8.0.1', 'fd08::1']) pings.push(ping(place, target, { count: 3 }));
    }
    for (const { sent, received } of await Promise.all(pings)) expect(received).toBe(sent);
  }

  const FORMS: Readonly<Record<string, readonly string[]>> = {
    'four local lines': [
      'local 10.77.1.1 1194 udp4',
      'local fd77:1::1 1194 udp6',
      'local 10.77.1.1 1194 tcp4',
      'local fd77:1::1 1194 tcp6',
    ],
    'two wildcards that take both families': ['local * 1194 udp', 'local * 1194 tcp'],
    'four <listen> blocks': TRANSPORTS.flatMap((proto) => [
      '<listen>',
      `proto ${proto}`,
      'bind ipv6only',
      `tag ${proto}`,
      '</listen>',
    ]),
  };

  for (const [form, lines] of Object.entries(FORMS)) {
    test(`udp4, udp6, tcp4 and tcp6 at once, by ${form}: stock clients on each reach the server and each other`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 4 });
        const status = `${lab.directory}/status`;
        const server = await site.startServer('openvpnd', [
          ...lines,
          'client-to-client',
          `status ${status} 1`,
          'status-version 4',
        ]);
        await connectAll(site);
        await expectMesh(site);
        expect(server.countLines(/link local \(bound\)/)).toBe(form.startsWith('two') ? 2 : 4);
        if (form.startsWith('four <listen>')) {
          for (const proto of TRANSPORTS) {
            expect(server.countLines(new RegExp(`Peer Connection Initiated with .* \\(listener ${proto}\\)`))).toBe(1);
          }
        }
        server.signal('SIGTERM');
        expect((await server.waitForEnd(10_000)).status).toBe(0);
        expect(server.countLines(STACK_TRACE)).toBe(0);
      }));
  }

  test('a listener with a key of its own: with it in, without it out, and the other listener as before', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 3 });
      const key = `${lab.directory}/tc.key`;
      expect((await site.serverPlace.run('openvpn', ['--genkey', 'secret', key], 10_000)).status).toBe(0);
      await site.startServer('openvpnd', [
        'local * 1194 udp4',
        '<listen>',
        'local * 1195 udp4',
        `tls-crypt ${key}`,
        'tag guarded',
        '</listen>',
      ]);
      const remote = { address: site.serverAddresses.ipv4, port: 1195 };
      const [plain, right, wrong] = [
        await site.startClient('openvpn', 0),
        await site.startClient('openvpn', 1, [`tls-crypt ${key}`], { remote }),
        await site.startClient('openvpn', 2, ['hand-window 8'], { remote }),
      ];
      await plain.waitForLine(UP, UP_TIMEOUT_MS);
      await right.waitForLine(UP, UP_TIMEOUT_MS);
      await wrong.waitForLine(/TLS key negotiation failed/, 30_000);
      for (const index of [0, 1]) {
        expect((await ping(site.clientPlaces[index], '10.8.0.1', { count: 3 })).received).toBe(3);
      }
    }));
});
