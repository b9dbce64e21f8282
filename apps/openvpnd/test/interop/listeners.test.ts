import { readFileSync, writeFileSync } from 'node:fs';
import { Lab, labReady, PATIENCE_MS, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { DAEMON, type Proto, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

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
            await server.waitForExactly(new RegExp(`Peer Connection Initiated with .* \\(listener ${proto}\\)`), 1);
          }
        }
        server.signal('SIGTERM');
        expect((await server.waitForEnd()).status).toBe(0);
        expect(server.countLines(STACK_TRACE)).toBe(0);
      }));
  }

  test('seed: "bind to all returned results": a host name is listened at with all of its addresses, UDP and TCP; one that is not here is a warning', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 4 });
      const hosts = `${lab.directory}/hosts`;
      writeFileSync(hosts, '10.77.1.1 vpn.example\nfd77:1::1 vpn.example\n10.77.1.99 vpn.example\n');
      const lines = ['local vpn.example 1194 udp', 'local vpn.example 1194 tcp'];
      const ordinary = await site.startServer('openvpnd');
      ordinary.signal('SIGTERM');
      await ordinary.waitForEnd();
      const config = readFileSync(`${lab.directory}/server-openvpnd.conf`, 'utf8');
      const start = (extra: readonly string[]): RunningProcess => {
        const file = `${lab.directory}/named-${extra.length}.conf`;
        writeFileSync(file, [config, ...lines, ...extra, ''].join('\n'));
        const command = `mount --bind ${hosts} /etc/hosts && exec "${process.execPath}" "${DAEMON}" --config "${file}"`;
        return site.serverPlace.start('unshare', ['--mount', 'sh', '-c', command]);
      };
      const server = start([]);
      await server.waitForLine(UP, UP_TIMEOUT_MS);
      const clients = await Promise.all(
        TRANSPORTS.map((proto, index) => site.startClient('openvpn', index, [], { proto })),
      );
      await Promise.all(clients.map((client) => client.waitForLine(UP, UP_TIMEOUT_MS)));
      const refused = 'Socket bind failed on local address \\[AF_INET\\]10\\.77\\.1\\.99:1194';
      expect(server.countLines(new RegExp(`WARNING: TCP/UDP: ${refused}`))).toBe(2);
      server.signal('SIGTERM');
      await server.waitForEnd();
      const strict = start(['bind-policy all']);
      expect((await strict.waitForEnd()).status).toBe(1);
      expect(strict.countLines(new RegExp(`^(?!.*WARNING).*${refused}`))).toBe(1);
    }));

  test('ipv6 leaves IPv4 out, and where the system has no IPv6 a wildcard is IPv4', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'udp6', clients: 2 });
      const strict = await site.startServer('openvpnd', ['local * 1194 udp', 'local * 1194 tcp', 'ipv6']);
      const [four, six] = [
        await site.startClient('openvpn', 0, ['connect-retry 1 1'], { proto: 'tcp4' }),
        await site.startClient('openvpn', 1, [], { proto: 'udp6' }),
      ];
      await six.waitForLine(UP, UP_TIMEOUT_MS);
      await four.waitForLine(/TCP: connect to \[AF_INET\].* failed: Connection refused/);
      strict.signal('SIGTERM');
      await strict.waitForEnd();
      await site.serverPlace.run('sh', ['-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6'], PATIENCE_MS);
      // Nothing of IPv6 inside either.
      const config = readFileSync(`${lab.directory}/server-openvpnd.conf`, 'utf8');
      const file = `${lab.directory}/without-ipv6.conf`;
      writeFileSync(file, config.replace(/^(ipv6|server-ipv6.*)$/gm, ''));
      const server = site.serverPlace.start(process.execPath, [DAEMON, '--config', file]);
      await server.waitForLine(UP, UP_TIMEOUT_MS);
      await four.waitForLine(UP, UP_TIMEOUT_MS);
    }));

  test('a listener with a key of its own: with it in, without it out, and the other listener as before', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 3 });
      const key = `${lab.directory}/tc.key`;
      expect((await site.serverPlace.run('openvpn', ['--genkey', 'secret', key], PATIENCE_MS)).status).toBe(0);
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

describe.skipIf(!ready)('a server with two addresses of each family', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  async function siteWithSecond(lab: Lab): Promise<Site> {
    const site = await Site.create(lab, tls, { clients: 4 });
    await site.serverPlace.ip('address', 'add', '10.77.1.200/24', 'dev', 'eth0');
    await site.serverPlace.ip('address', 'add', 'fd77:1::200/64', 'dev', 'eth0', 'nodad', 'preferred_lft', '0');
    return site;
  }

  const TARGETS = [
    { proto: 'udp4', address: '10.77.1.1' },
    { proto: 'udp4', address: '10.77.1.200' },
    { proto: 'udp6', address: 'fd77:1::1' },
    { proto: 'udp6', address: 'fd77:1::200' },
  ] as const;

  for (const multihome of ['multihome', 'multihome same-interface']) {
    test(`${multihome}: each client has its answers from the address that it asked`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithSecond(lab);
        await site.startServer('openvpnd', ['local * 1194 udp', 'client-to-client', multihome]);
        const clients = await Promise.all(
          TARGETS.map(({ proto, address }, index) =>
            site.startClient('openvpn', index, [], { proto, remote: { address, port: 1194 } }),
          ),
        );
        for (const client of clients) await client.waitForLine(UP, UP_TIMEOUT_MS);
        for (const [index, place] of site.clientPlaces.entries()) {
          expect((await ping(place, '10.8.0.1', { count: 5, size: 1400 })).received).toBe(5);
          const back = await ping(site.serverPlace, await site.tunnelAddress(index, 4), { count: 5 });
          expect(back.received).toBe(5);
        }
      }));
  }

  test('without multihome answers come from elsewhere, and the client does not take them', () =>
    Lab.use(async (lab) => {
      const site = await siteWithSecond(lab);
      await site.startServer('openvpnd', ['local * 1194 udp']);
      const { proto, address } = TARGETS[1];
      const remote = { address, port: 1194 };
      const client = await site.startClient('openvpn', 0, ['hand-window 6'], { proto, remote });
      await client.waitForLine(/Incoming packet rejected from \[AF_INET6?\].*10\.77\.1\.1:1194/);
      expect(client.countLines(UP)).toBe(0);
    }));
});
