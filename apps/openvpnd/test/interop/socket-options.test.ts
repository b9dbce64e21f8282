import { Lab, type LabNamespace, labReady, PATIENCE_MS, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { DAEMON, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** What `ss` knows of the sockets at port 1194 inside. */
async function sockets(place: LabNamespace, filter: string): Promise<string> {
  const shown = await place.run('ss', ['-tuanemO', ...filter.split(' ')], PATIENCE_MS);
  expect(shown.status).toBe(0);
  return shown.stdout;
}

describe.skipIf(!ready)('options of sockets', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const proto of ['udp4', 'tcp4', 'udp6', 'tcp6'] as const) {
    test(`mark, bind-dev, sndbuf and rcvbuf are the system's, of listeners, connections and clients, ${proto}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto });
        const options = ['mark 77', 'bind-dev eth0', 'sndbuf 150000', 'rcvbuf 160000'];
        await site.startServer('openvpnd', options);
        await site.connectClient('openvpnd', 0, options);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
        for (const [place, filter] of [
          [site.serverPlace, 'sport = :1194'],
          [site.clientPlaces[0], proto.startsWith('tcp') ? 'dport = :1194' : 'state unconnected'],
        ] as const) {
          const lines = (await sockets(place, filter)).split('\n').filter((line) => /^(udp|tcp)/.test(line));
          expect(lines.length).toBeGreaterThanOrEqual(proto.startsWith('tcp') && place === site.serverPlace ? 2 : 1);
          for (const line of lines) {
            expect(line).toContain('fwmark:0x4d');
            expect(line).toContain('%eth0');
            expect(line).toContain('tb300000');
            expect(line).toContain('rb320000');
          }
        }
      }));
  }

  test('a mark decides about routes: one that may not leave reaches nobody, another does', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'udp4', clients: 1 });
      await site.serverPlace.ip('rule', 'add', 'fwmark', '7', 'prohibit');
      const marked = await site.startServer('openvpnd', ['mark 7']);
      const stranded = await site.startClient('openvpn', 0, ['hand-window 6']);
      await stranded.waitForLine(/TLS key negotiation failed/);
      stranded.signal('SIGTERM');
      await stranded.waitForEnd();
      marked.signal('SIGTERM');
      await marked.waitForEnd();
      await site.startServer('openvpnd', ['mark 8']);
      await site.connectClient('openvpn');
    }));

  for (const [mode, flags] of [
    ['yes', 'DF'],
    ['no', 'none'],
  ] as const) {
    test(`mtu-disc ${mode} is on the wire, of UDP and TCP`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto: 'udp4', clients: 2 });
        await site.startServer('openvpnd', ['local * 1194 udp4', 'local * 1194 tcp4', `mtu-disc ${mode}`]);
        const sniffer = site.serverPlace.start('tcpdump', ['-lnvv', '-i', 'eth0', 'src', 'port', '1194']);
        await sniffer.waitForLine(/listening on/);
        const clients = [
          await site.startClient('openvpn', 0),
          await site.startClient('openvpn', 1, [], { proto: 'tcp4' }),
        ];
        for (const client of clients) await client.waitForLine(UP, UP_TIMEOUT_MS);
        for (const place of site.clientPlaces) {
          expect((await ping(place, '10.8.0.1', { count: 3 })).received).toBe(3);
        }
        for (const transport of ['UDP', 'TCP']) {
          await sniffer.waitForLine(new RegExp(`proto ${transport}`));
          // The system acknowledges a connection itself, before there is a socket of ours.
          const other = sniffer.lines.filter(
            (line) => line.includes(`proto ${transport}`) && !line.includes(`flags [${flags}]`),
          );
          expect(other.length).toBeLessThanOrEqual(transport === 'TCP' ? 1 : 0);
        }
      }));
  }

  for (const { server, client } of [
    { server: 'openvpnd', client: 'openvpn' },
    { server: 'openvpn', client: 'openvpnd' },
  ] as const) {
    for (const proto of ['udp4', 'udp6'] as const) {
      test(`passtos shows the TOS of packets inside outside, ${proto}, server ${server}, client ${client}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls, { proto });
          await site.startServer(server, server === 'openvpnd' ? ['passtos'] : []);
          await site.connectClient(client, 0, client === 'openvpnd' ? ['passtos'] : []);
          // Where the packets of ours arrive.
          const place = server === 'openvpnd' ? site.clientPlaces[0] : site.serverPlace;
          const port = server === 'openvpnd' ? 'src' : 'dst';
          const sniffer = place.start('tcpdump', ['-lnvv', '-i', 'eth0', 'udp', port, 'port', '1194']);
          await sniffer.waitForLine(/listening on/);
          const mark = proto === 'udp4' ? 'tos 0x' : 'class 0x';
          for (const [inside, target] of [
            ['b8', '10.8.0.1'],
            ['48', 'fd08::1'],
          ]) {
            const pings = await site.clientPlaces[0].run(
              'ping',
              ['-c', '3', '-i', '0.2', '-Q', `0x${inside}`, target],
              PATIENCE_MS,
            );
            expect(pings.status).toBe(0);
            await sniffer.waitForLine(new RegExp(`${mark}${inside}`));
          }
          // And what says nothing goes as ever.
          const from = sniffer.lines.length;
          await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 });
          await sniffer.waitForLine(proto === 'udp4' ? /tos 0x0,/ : /^(?!.*class 0x).*UDP/, PATIENCE_MS, from);
        }));
    }
  }

  for (const proto of ['udp4', 'tcp4'] as const) {
    test(`sndbuf and rcvbuf that a stock server pushes count, ${proto}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto });
        await site.startServer('openvpn', ['push "sndbuf 210000"', 'push "rcvbuf 220000"']);
        const client = await site.connectClient('openvpnd', 0, ['verb 3']);
        expect(client.countLines(/OPTIONS IMPORT: --sndbuf\/--rcvbuf options modified/)).toBe(1);
        const shown = await sockets(site.clientPlaces[0], proto === 'tcp4' ? 'dport = :1194' : 'state unconnected');
        expect(shown).toContain('tb420000');
        expect(shown).toContain('rb440000');
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
      }));
  }

  test('txqueuelen is that of the device', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const server = await site.startServer('openvpnd', ['txqueuelen 1234']);
      expect(server.countLines(/TUN\/TAP TX queue length set to 1234/)).toBe(1);
      expect(await site.serverPlace.ip('link', 'show', 'dev', 'tun0')).toContain('qlen 1234');
    }));

  test('a device that there is not is fatal, with the option in the line', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      for (const proto of ['udp4', 'tcp4'] as const) {
        await expect(site.startServer('openvpnd', [`proto ${proto}`, 'bind-dev nosuch0'])).rejects.toThrow(
          /SO_BINDTODEVICE=nosuch0 failed: No such device/,
        );
      }
    }));
});

describe.skipIf(!ready)('sockets that systemd passes', () => {
  /** Opens a UDP and a TCP socket and becomes the daemon, as systemd does it. */
  const ACTIVATE = `
    const { spawn } = require('node:child_process');
    const dgram = require('node:dgram').createSocket('udp4');
    const server = require('node:net').createServer();
    dgram.bind(1194, () => server.listen(1194, '0.0.0.0', () => {
      const state = Object.getOwnPropertySymbols(dgram).find((symbol) => symbol.description === 'state symbol');
      const [daemon, config] = process.argv.slice(1);
      const child = spawn(
        'sh',
        ['-c', 'LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=vpn:web exec "$0" "$1" --config "$2"', process.execPath, daemon, config],
        { stdio: ['ignore', 'inherit', 'inherit', dgram[state].handle.fd, server._handle.fd] },
      );
      for (const signal of ['SIGTERM', 'SIGUSR1', 'SIGHUP']) process.on(signal, () => child.kill(signal));
      child.on('close', (status) => process.exit(status));
      dgram.close();
      server.close();
    }));`;

  test('are listened at, UDP and TCP, and survive SIGHUP and SIGUSR1', () =>
    Lab.use(async (lab) => {
      const tls = await TestPki.create();
      const site = await Site.create(lab, tls, { proto: 'udp4', clients: 2 });
      // The configuration of an ordinary server, which is taken down again.
      const ordinary = await site.startServer('openvpnd', [
        'local * 1194 udp4',
        '<listen>',
        'proto tcp4',
        'tag web',
        '</listen>',
      ]);
      ordinary.signal('SIGTERM');
      await ordinary.waitForEnd();
      const config = `${lab.directory}/server-openvpnd.conf`;
      const server = site.serverPlace.start(process.execPath, ['-e', ACTIVATE, DAEMON, config]);
      await server.waitForLine(UP, UP_TIMEOUT_MS);
      expect(server.countLines(/UDPv4 link local \(bound\): \[AF_INET\]\[undef\]:1194/)).toBe(1);
      expect(
        server.countLines(/Listening for incoming TCP connection on \[AF_INET\]\[undef\]:1194 \(listener web\)/),
      ).toBe(1);
      const clients = [
        await site.startClient('openvpn', 0, ['connect-retry 1 1']),
        await site.startClient('openvpn', 1, ['connect-retry 1 1'], { proto: 'tcp4' }),
      ];
      for (const client of clients) await client.waitForLine(UP, UP_TIMEOUT_MS);
      for (const signal of ['SIGUSR1', 'SIGHUP'] as const) {
        const from = server.lines.length;
        const reached = clients.map((client) => client.lines.length);
        server.signal(signal);
        await server.waitForLine(UP, UP_TIMEOUT_MS, from);
        // Who is not told comes back when we say so; whose connection is gone comes by himself, and is not to be disturbed.
        clients[0].signal('SIGUSR1');
        for (const [index, client] of clients.entries()) await client.waitForLine(UP, UP_TIMEOUT_MS, reached[index]);
      }
      for (const place of site.clientPlaces) expect((await ping(place, '10.8.0.1', { count: 3 })).received).toBe(3);
      server.signal('SIGTERM');
      expect((await server.waitForEnd()).status).toBe(0);
    }));

  test('are not taken from a process that they were not meant for', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, await TestPki.create(), { proto: 'udp4' });
      const ordinary = await site.startServer('openvpnd');
      ordinary.signal('SIGTERM');
      await ordinary.waitForEnd();
      const config = `${lab.directory}/server-openvpnd.conf`;
      const server = site.serverPlace.start('sh', [
        '-c',
        `LISTEN_PID=1 LISTEN_FDS=1 exec "${process.execPath}" "${DAEMON}" --config "${config}"`,
      ]);
      await server.waitForLine(UP, UP_TIMEOUT_MS);
    }));
});
