import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, type LabNamespace, labReady, PATIENCE_MS, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** The routes of a place, both families, in a stable order; but not those of the link-local addresses of its cables, which come when they like. */
async function routesOf(place: LabNamespace): Promise<string> {
  const shown = [await place.ip('-4', 'route'), await place.ip('-6', 'route')].join('\n');
  return shown
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('fe80::/64 dev eth'))
    .sort()
    .join('\n');
}

describe.skipIf(!ready)('device, addresses and routes of a client', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('pushed routes of both families, and all of it gone at the end', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const [place] = site.clientPlaces;
      const before = await routesOf(place);
      await site.startServer('openvpn', ['push "route 10.55.0.0 255.255.255.0"', 'push "route-ipv6 fd55::/64"']);
      const client = await site.connectClient('openvpnd', 0, ['route 10.56.0.0 255.255.0.0 vpn_gateway 7']);
      const during = await routesOf(place);
      expect(during).toMatch(/^10\.55\.0\.0\/24 via 10\.8\.0\.1 dev tun0/m);
      expect(during).toMatch(/^10\.56\.0\.0\/16 via 10\.8\.0\.1 dev tun0.*metric 7/m);
      expect(during).toMatch(/^fd55::\/64 dev tun0/m);
      client.signal('SIGINT');
      expect((await client.waitForEnd()).status).toBe(0);
      expect(await routesOf(place)).toBe(before);
    }));

  for (const flags of ['def1', '', 'def1 ipv6'] as const) {
    test(`redirect-gateway ${flags}: everything goes through the tunnel, the server stays reachable, and it is put back`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const [place] = site.clientPlaces;
        // A way out that is not the server: the default route of a real client.
        await site.serverPlace.ip('addr', 'add', '10.77.200.1/24', 'dev', site.serverAddresses.device);
        await place.ip('addr', 'add', '10.77.200.2/24', 'dev', 'eth0');
        await place.ip('route', 'add', 'default', 'via', '10.77.200.1');
        const before = await routesOf(place);
        await site.startServer('openvpn');
        const client = await site.connectClient('openvpnd', 0, [`redirect-gateway ${flags}`]);
        const way = JSON.parse(await place.ip('-j', 'route', 'get', '198.51.100.1')) as { dev: string }[];
        expect(way[0].dev).toBe('tun0');
        if (flags.includes('ipv6')) {
          const way6 = JSON.parse(await place.ip('-j', '-6', 'route', 'get', '2001:db8::1')) as { dev: string }[];
          expect(way6[0].dev).toBe('tun0');
        }
        expect((await ping(place, '10.8.0.1', { count: 5, interval: 0.05 })).received).toBe(5);
        client.signal('SIGTERM');
        expect((await client.waitForEnd()).status).toBe(0);
        expect(await routesOf(place)).toBe(before);
      }));
  }

  test('route-nopull, route-noexec and ifconfig-noexec do what their names say', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const [place] = site.clientPlaces;
      await site.startServer('openvpn', ['push "route 10.55.0.0 255.255.255.0"']);
      const nopull = await site.connectClient('openvpnd', 0, ['route-nopull', 'route 10.57.0.0 255.255.0.0']);
      expect(await routesOf(place)).not.toContain('10.55.0.0/24');
      expect(await routesOf(place)).toContain('10.57.0.0/16');
      await nopull.stop();
      const noexec = await site.connectClient('openvpnd', 0, ['route-noexec']);
      expect(await routesOf(place)).not.toContain('10.55.0.0/24');
      expect(await place.ip('addr', 'show', 'tun0')).toContain('10.8.0.');
      await noexec.stop();
      await site.connectClient('openvpnd', 0, ['ifconfig-noexec', 'route-noexec']);
      expect(await place.ip('addr', 'show', 'tun0')).not.toContain('10.8.0.');
    }));

  test('persist-tun keeps the interface over SIGUSR1, without it there is a new one; SIGHUP reads the file again', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const [place] = site.clientPlaces;
      await site.startServer('openvpn', ['duplicate-cn', 'push "topology subnet"']);
      const indexOf = async (): Promise<number> =>
        (JSON.parse(await place.ip('-j', 'link', 'show', 'dev', 'tun0')) as { ifindex: number }[])[0].ifindex;
      const client = await site.connectClient('openvpnd', 0, ['persist-tun', 'ifconfig-nowarn']);
      const first = await indexOf();
      let from = client.lines.length;
      client.signal('SIGUSR1');
      await client.waitForLine(/SIGUSR1\[hard,\] received, process restarting/, PATIENCE_MS, from);
      await client.waitForLine(UP, UP_TIMEOUT_MS, from);
      from = client.lines.length;
      client.signal('SIGHUP');
      await client.waitForLine(/SIGHUP\[hard,\] received, process restarting/, PATIENCE_MS, from);
      await client.waitForLine(UP, UP_TIMEOUT_MS, from);
      expect(await indexOf()).not.toBe(first);
      expect((await ping(place, '10.8.0.1', { count: 3 })).received).toBe(3);
    }));

  test('a chosen name and node for the device', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      await site.startServer('openvpnd');
      const client = await site.connectClient('openvpnd', 0, ['dev vpn7', 'dev-type tun', 'dev-node /dev/net/tun']);
      expect(client.countLines(/TUN\/TAP device vpn7 opened/)).toBe(1);
      expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
    }));

  for (const topology of ['net30', 'p2p'] as const) {
    test(`topology ${topology} with both programs as client`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        const server = await site.startServer('openvpnd', [`topology ${topology}`]);
        await site.connectClient('openvpn', 0);
        await site.connectClient('openvpnd', 1);
        expect(server.countLines(/Initialization Sequence Completed/)).toBe(1);
        for (const [index, place] of site.clientPlaces.entries()) {
          expect((await ping(place, '10.8.0.1', { count: 3 })).received).toBe(3);
          const back = await ping(site.serverPlace, await site.tunnelAddress(index, 4), { count: 3 });
          expect(back.received).toBe(3);
        }
      }));
  }

  test('client-config-dir: a fixed address, a network behind the client, a refusal', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      const directory = join(lab.directory, 'ccd');
      mkdirSync(directory);
      writeFileSync(
        join(directory, 'client1'),
        'ifconfig-push 10.8.0.77 255.255.255.0\niroute 10.66.0.0 255.255.255.0\n',
      );
      writeFileSync(join(directory, 'client2'), 'disable\n');
      const server = await site.startServer('openvpnd', [
        `client-config-dir ${directory}`,
        'route 10.66.0.0 255.255.255.0',
      ]);
      await site.connectClient('openvpn', 0);
      expect(await site.tunnelAddress(0, 4)).toBe('10.8.0.77');
      await site.clientPlaces[0].ip('addr', 'add', '10.66.0.1/24', 'dev', 'lo');
      expect((await ping(site.serverPlace, '10.66.0.1', { count: 3 })).received).toBe(3);
      const refused = await site.startClient('openvpn', 1);
      await refused.waitForLine(/AUTH_FAILED/, UP_TIMEOUT_MS);
      await server.waitForLine(/rejected due to 'disable'/);
    }));

  for (const [server, client] of [
    ['openvpn', 'openvpnd'],
    ['openvpnd', 'openvpn'],
  ] as const) {
    test(`a push that needs several messages: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const routes = Array.from({ length: 90 }, (_, index) => `push "route 10.90.${index} 255.255.255.0"`);
        const pushes = routes.map((line) => line.replace(/(10\.90\.\d+)/, '$1.0'));
        await site.startServer(server, pushes);
        const running = await site.connectClient(client);
        expect(running.countLines(/PUSH: Received control message: 'PUSH_REPLY/)).toBeGreaterThanOrEqual(3);
        const table = await site.clientPlaces[0].ip('-4', 'route');
        expect(table.match(/10\.90\.\d+\.0\/24 via/g)).toHaveLength(90);
      }));
  }
});
