import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpnd', client: 'openvpnd' },
];

describe.skipIf(!ready)('a tunnel over TCP', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const pair of PAIRS) {
    for (const proto of ['tcp4', 'tcp6'] as const) {
      test(`carries packets of all sizes, ${proto}: server ${pair.server}, client ${pair.client}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls, { proto, serverExtra: ['tcp-nodelay'] });
          const server = await site.startServer(pair.server);
          const client = await site.connectClient(pair.client);
          const [place] = site.clientPlaces;
          for (const [size, count] of [
            [56, 10],
            [1400, 5],
            [4000, 3],
          ]) {
            const pinged = await ping(place, '10.8.0.1', { count, interval: 0.02, size });
            expect(pinged.received).toBe(count);
          }
          expect((await ping(place, 'fd08::1', { count: 3, interval: 0.02 })).received).toBe(3);
          const back = await ping(site.serverPlace, await site.tunnelAddress(0, 4), { count: 5, interval: 0.02 });
          expect(back.received).toBe(5);

          const af = proto === 'tcp4' ? String.raw`\[AF_INET\]` : String.raw`\[AF_INET6\]`;
          const name = proto === 'tcp4' ? 'TCPv4' : 'TCPv6';
          expect(server.countLines(new RegExp(`Listening for incoming TCP connection on ${af}`))).toBe(1);
          expect(server.countLines(new RegExp(`${name}_SERVER link local \\(bound\\): ${af}`))).toBe(1);
          await server.waitForExactly(new RegExp(`TCP connection established with ${af}`), 1);
          expect(client.countLines(new RegExp(`Attempting to establish TCP connection with ${af}`))).toBe(1);
          expect(client.countLines(new RegExp(`TCP connection established with ${af}`))).toBe(1);
          expect(client.countLines(new RegExp(`${name}_CLIENT link remote: ${af}`))).toBe(1);
          // Both ends say the same of themselves.
          for (const end of [server, client]) expect(end.countLines(/used inconsistently|WARNING: '/)).toBe(0);

          client.signal('SIGTERM');
          expect((await client.waitForEnd()).status).toBe(0);
          await server.waitForLine(/Connection reset, restarting \[0\]/);
          await server.waitForLine(/SIGUSR1\[soft,connection-reset\] received, client-instance restarting/);
          server.signal('SIGTERM');
          expect((await server.waitForEnd()).status).toBe(0);
          for (const end of [server, client]) expect(end.countLines(STACK_TRACE)).toBe(0);
        }));
    }
  }

  for (const pair of PAIRS) {
    test(`renegotiates without loss: server ${pair.server}, client ${pair.client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto: 'tcp4' });
        const server = await site.startServer(pair.server, ['reneg-sec 2']);
        const client = await site.connectClient(pair.client, 0, ['reneg-sec 0']);
        const pinged = await ping(site.clientPlaces[0], '10.8.0.1', { interval: 0.02, count: 230 });
        expect(pinged.received).toBe(230);
        await client.waitForAtLeast(/Control Channel: TLSv1\.3/, 3);
        for (const end of [server, client]) {
          expect(end.countLines(/TLS Error|decrypt|bad packet ID|Connection reset/i)).toBe(0);
        }
      }));

    test(`comes back after the server was killed: server ${pair.server}, client ${pair.client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto: 'tcp4' });
        const server = await site.startServer(pair.server);
        const client = await site.connectClient(pair.client, 0, ['connect-retry 1']);
        server.signal('SIGKILL');
        await client.waitForLine(/Connection reset, restarting \[(0|-1)\]/);
        await client.waitForLine(/SIGUSR1\[soft,connection-reset\] received, process restarting/);
        await client.waitForLine(/TCP: connect to \[AF_INET\].* failed: Connection refused/);
        await client.waitForLine(/SIGUSR1\[connection failed\(soft\),connection-failed\] received/);
        const from = client.lines.length;
        await site.startServer(pair.server);
        await client.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
      }));
  }

  test('a client that stops reading, and 300 strangers that never finish a packet, cost a running ping nothing', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { proto: 'tcp4', clients: 2 });
      // The flood below fills the device's queue of 500 packets whenever the server waits for a processor for half a second.
      const server = await site.startServer('openvpnd', ['hand-window 4', 'txqueuelen 5000']);
      const stalled = await site.connectClient('openvpn', 0);
      await site.connectClient('openvpn', 1);
      const stalledAddress = await site.tunnelAddress(0, 4);
      stalled.signal('SIGSTOP');
      const strangers = site.clientPlaces[1].start(process.execPath, [
        '-e',
        `let closed = 0;
        for (let i = 0; i < 300; i++) {
          const peer = require('node:net').connect(1194, '${site.serverAddresses.ipv4}');
          peer.on('connect', () => peer.write(Buffer.of(0)));
          setTimeout(() => peer.writable && peer.write(Buffer.of(100)), 1500);
          peer.on('error', () => {});
          peer.on('close', () => ++closed === 300 && console.log('all closed'));
        }`,
      ]);
      const flood = ping(site.serverPlace, stalledAddress, { count: 4000, interval: 0.001, size: 1400 });
      const pinged = await ping(site.clientPlaces[1], '10.8.0.1', { count: 100, interval: 0.05 });
      expect(pinged.received).toBe(100);
      await strangers.waitForLine(/all closed/);
      stalled.signal('SIGCONT');
      await flood;
      expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5 })).received).toBe(5);
      expect(server.countLines(STACK_TRACE)).toBe(0);
    }));
});
