import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpnd', client: 'openvpnd' },
  // The control: when this one fails, it is the laboratory.
  { server: 'openvpn', client: 'openvpn' },
];

describe.skipIf(!ready)('a packet through a tunnel', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const pair of PAIRS) {
    for (const cipher of ['AES-256-GCM', 'CHACHA20-POLY1305']) {
      for (const proto of ['udp4', 'udp6'] as const) {
        test(`server ${pair.server}, client ${pair.client}, ${cipher}, ${proto}`, () =>
          Lab.use(async (lab) => {
            const site = await Site.create(lab, tls, { proto, ciphers: [cipher] });
            const server = await site.startServer(pair.server);
            const client = await site.startClient(pair.client);
            await client.waitForLine(UP, UP_TIMEOUT_MS);
            await server.waitForLine(/Peer Connection Initiated with/);
            await client.waitForLine(new RegExp(`Data Channel: cipher '${cipher}', peer-id: 0`));

            const [place] = site.clientPlaces;
            const small = await ping(place, '10.8.0.1', { count: 10, interval: 0.02 });
            expect(small.received).toBe(10);
            const large = await ping(place, '10.8.0.1', { count: 5, interval: 0.02, size: 1400 });
            expect(large.received).toBe(5);
            // Larger than the tunnel: fragments inside, each of them a data packet.
            const fragmented = await ping(place, '10.8.0.1', { count: 3, interval: 0.02, size: 4000 });
            expect(fragmented.received).toBe(3);
            const inner6 = await ping(place, 'fd08::1', { count: 5, interval: 0.02 });
            expect(inner6.received).toBe(5);
            const back = await ping(site.serverPlace, await site.tunnelAddress(0, 4), { count: 5, interval: 0.02 });
            expect(back.received).toBe(5);

            for (const running of [client, server]) {
              running.signal('SIGTERM');
              const end = await running.waitForEnd();
              expect(end.status).toBe(0);
              expect(running.tail(5)).toMatch(/SIGTERM\[.*\] received, process exiting/);
              expect(running.countLines(STACK_TRACE)).toBe(0);
            }
            expect(await place.ip('addr')).not.toContain('tun');
          }));
      }
    }
  }

  for (const version of ['1.2', '1.3']) {
    for (const pair of PAIRS.slice(0, 3)) {
      test(`TLS ${version}: server ${pair.server}, client ${pair.client}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls);
          await site.startServer(pair.server);
          const client = await site.connectClient(pair.client, 0, [`tls-version-max ${version}`]);
          expect(client.tail(100)).toContain(`Control Channel: TLSv${version},`);
          expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
        }));
    }
  }
});
