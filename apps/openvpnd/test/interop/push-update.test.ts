import { connect } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  Lab,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  serverConfig,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import type { PushUpdateResult, PushUpdateTarget } from '../../src/server/push-updates.js';
import { Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const SERVER = fileURLToPath(new URL('./update-server.mjs', import.meta.url));
/** Lines about routes come before the routes. */
const SETTLED = { timeout: PATIENCE_MS };
const UPDATED = /PUSH: Received control message: 'PUSH_UPDATE,/;

/** A server of ours inside a program that lets the test change what was pushed. */
class UpdateServer {
  readonly process: RunningProcess;
  readonly #socket: string;

  private constructor(running: RunningProcess, socket: string) {
    this.process = running;
    this.#socket = socket;
  }

  static async start(site: Site, extra: readonly string[]): Promise<UpdateServer> {
    const { lab, tls } = site;
    const identity = { ca: tls.pki.ca, cert: tls.server.cert, key: tls.server.key };
    const config = serverConfig({ identity, proto: 'udp4', networkV6: 'fd08::/64', extra });
    const file = writeConfig(lab.directory, 'server-update.conf', config);
    const socket = join(lab.directory, 'update.sock');
    const running = site.serverPlace.start(process.execPath, [SERVER, socket, '--config', file], { title: 'server' });
    await running.waitForLine(UP, UP_TIMEOUT_MS);
    return new UpdateServer(running, socket);
  }

  push(target: PushUpdateTarget, ...options: string[]): Promise<PushUpdateResult> {
    return new Promise((resolve, reject) => {
      let text = '';
      const connection = connect(this.#socket, () => connection.write(`${JSON.stringify([target, options])}\n`));
      connection.setEncoding('utf8');
      connection.on('error', reject);
      connection.on('data', (chunk) => {
        text += chunk;
      });
      connection.on('end', () => resolve(JSON.parse(text)));
    });
  }
}

describe.skipIf(!labReady('openvpn', 'ping'))('PUSH_UPDATE', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('changes routes, addresses and MTU of a client that stays connected; one of 2.6 is left alone', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      const server = await UpdateServer.start(site, [
        'push "route 10.55.1.0 255.255.255.0"',
        'push "route 10.55.2.0 255.255.255.0"',
      ]);
      const client = await site.connectClient('openvpnd', 0);
      const stock = await site.connectClient('openvpn', 1);
      const [place] = site.clientPlaces;
      const routes = async (...args: string[]): Promise<string> => (await place?.ip(...args, 'route')) ?? '';
      const ups = client.countLines(UP);
      await expect.poll(() => routes(), SETTLED).toContain('10.55.1.0/24');

      // While packets pass.
      const pings = ping(place, '10.8.0.1', { count: 100, interval: 0.05 });
      const result = await server.push(
        'all',
        'route 10.55.2.0 255.255.255.0',
        'route 10.55.3.0 255.255.255.0',
        'route-ipv6 fd55::/32',
      );
      expect(result).toEqual({ ok: true, told: [0], unable: [1] });
      await client.waitForLine(/net_route_v6_add: fd55::\/32/, UP_TIMEOUT_MS);
      expect((await pings).received).toBe(100);
      await expect.poll(() => routes(), SETTLED).not.toContain('10.55.1.0/24');
      await expect.poll(() => routes(), SETTLED).toContain('10.55.2.0/24');
      await expect.poll(() => routes(), SETTLED).toContain('10.55.3.0/24');
      await expect.poll(() => routes('-6'), SETTLED).toContain('fd55::/32');
      // What stayed was not touched.
      expect(client.countLines(/net_route_v4_del: 10\.55\.2\.0/)).toBe(0);

      let from = client.lines.length;
      expect(
        await server.push({ clientId: 0 }, 'ifconfig 10.8.0.77 255.255.255.0', 'tun-mtu 1400', '-route-ipv6'),
      ).toMatchObject({ ok: true });
      await client.waitForLine(/net_route_v4_add: 10\.55\.3\.0.*/, UP_TIMEOUT_MS, from);
      const link = async (): Promise<string> => (await place?.ip('addr', 'show')) ?? '';
      await expect.poll(link, SETTLED).toContain('10.8.0.77/24');
      await expect.poll(link, SETTLED).toContain('mtu 1400');
      await expect.poll(() => routes('-6'), SETTLED).not.toContain('fd55::/32');
      expect((await ping(place, '10.8.0.1', { count: 20, interval: 0.05 })).received).toBe(20);
      expect((await ping(site.serverPlace, '10.8.0.77', { count: 20, interval: 0.05 })).received).toBe(20);

      // A whole default route comes and goes, and so does the way round it.
      expect(await server.push({ clientId: 0 }, 'redirect-gateway def1', '?block-ipv6')).toMatchObject({ ok: true });
      await client.waitForLine(/net_route_v4_add: 128\.0\.0\.0\/1/, UP_TIMEOUT_MS);
      await expect.poll(() => routes(), SETTLED).toContain('128.0.0.0/1');
      from = client.lines.length;
      expect(await server.push({ clientId: 0 }, '-redirect-gateway', '-route')).toMatchObject({ ok: true });
      await client.waitForLine(/net_route_v4_del: 10\.55\.3\.0.*/, UP_TIMEOUT_MS, from);
      await expect.poll(() => routes(), SETTLED).not.toContain('128.0.0.0/1');

      expect(client.countLines(UP)).toBe(ups);
      expect(stock.countLines(UPDATED)).toBe(0);
      await client.stop();
      const left = await routes();
      expect(left).not.toContain('10.55.');
    }));

  test('that is not allowed makes a client begin anew, and the server sends none', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const server = await UpdateServer.start(site, []);
      const client = await site.connectClient('openvpnd', 0, [
        'pull-filter reject "route 10.55.4"',
        'connect-retry 1 1',
      ]);
      expect(await server.push('all', 'cipher AES-128-GCM')).toMatchObject({ ok: false });
      const from = client.lines.length;
      expect(await server.push('all', 'route 10.55.4.0 255.255.255.0')).toMatchObject({ ok: true });
      await client.waitForLine(
        /Pushed option rejected by filter: 'route 10\.55\.4\.0 255\.255\.255\.0'/,
        UP_TIMEOUT_MS,
      );
      await client.waitForLine(/SIGUSR1\[soft,process-push-msg-failed\] received, process restarting/, UP_TIMEOUT_MS);
      await client.waitForLine(UP, UP_TIMEOUT_MS, from);
      expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.05 })).received).toBe(5);
    }));
});
