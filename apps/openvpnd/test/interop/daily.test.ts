import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, labReady, PATIENCE_MS, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping', 'openssl');

/** A file that a stock server, an administrator and an accident have written. */
const POOL_FILE = `nobody,10.8.0.9,
foreign line
bad,10.99.0.1
client1,10.8.0.20,fd08::1012
#comment
old,10.8.0.30
empty,,
v6only,,fd08::1020
`;

/** Where the packages of distributions have them; an installation without documents has none. */
const SAMPLES = '/usr/share/doc/openvpn/examples/sample-config-files';

/** Not in a user namespace that knows one user alone. */
function nobodyIsMapped(): boolean {
  return readFileSync('/proc/self/uid_map', 'utf8')
    .split('\n')
    .some((line) => Number(line.trim().split(/\s+/)[2]) > 65_534);
}

describe.skipIf(!ready)('what a server in daily use is configured with', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('ifconfig-pool-persist: both programs make the same of one file', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      const made: Partial<Record<Program, string>> = {};
      for (const program of ['openvpn', 'openvpnd'] as const) {
        const file = join(lab.directory, `pool-${program}`);
        writeFileSync(file, POOL_FILE);
        const server = await site.startServer(program, [`ifconfig-pool-persist ${file} 60`]);
        const clients = [await site.connectClient('openvpn', 0), await site.connectClient('openvpn', 1)];
        expect(await site.tunnelAddress(0, 4)).toBe('10.8.0.20');
        expect(await site.tunnelAddress(0, 6)).toBe('fd08::1012');
        expect(server.countLines(/pool: IPv4 \(10\.99\.0\.1\) out of pool range for CN=bad/)).toBe(1);
        expect(server.countLines(/in='foreign line'/)).toBe(1);
        expect(server.countLines(/succeeded -> ifconfig_pool_set\(hand=18\)/)).toBe(1);
        server.signal('SIGTERM');
        expect((await server.waitForEnd()).status).toBe(0);
        for (const client of clients) await client.stop();
        made[program] = readFileSync(file, 'utf8');
      }
      expect(made.openvpnd).toBe(made.openvpn);
      expect(made.openvpnd).toContain('client2,10.8.0.2,fd08::1000\n');

      // A file that is only read stays as it is.
      const fixed = join(lab.directory, 'fixed');
      writeFileSync(fixed, 'client2,10.8.0.77\n');
      const server = await site.startServer('openvpnd', [`ifconfig-pool-persist ${fixed} 0`]);
      await site.connectClient('openvpnd', 1);
      expect(await site.tunnelAddress(1, 4)).toBe('10.8.0.77');
      await site.connectClient('openvpnd', 0);
      server.signal('SIGTERM');
      await server.waitForEnd();
      expect(readFileSync(fixed, 'utf8')).toBe('client2,10.8.0.77\n');
    }));

  test('status and SIGUSR2: both programs write the same', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const server: Record<string, string> = {};
      const client: Record<string, string> = {};
      for (const version of [1, 2]) {
        for (const program of ['openvpn', 'openvpnd'] as const) {
          const file = join(lab.directory, `status-${program}-${version}`);
          const own = join(lab.directory, `client-${program}-${version}`);
          const running = await site.startServer(program, [`status ${file} 1`, `status-version ${version}`]);
          const peer = await site.connectClient(program, 0, [`status ${own} 1`]);
          expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
          const ofServer = await soon(
            file,
            version === 1 ? /client1.*10\.8\.0\.2\b/s : /client1.*AES-256-GCM.*10\.8\.0\.2\b/s,
          );
          server[program + version] = masked(ofServer);
          client[program + version] = masked(await soon(own, /TUN\/TAP write bytes,252/));
          expect(masked(await statistics(running, file))).toBe(server[program + version]);
          expect(masked(await statistics(peer, own))).toBe(client[program + version]);
          peer.signal('SIGTERM');
          await peer.waitForEnd();
          await running.stop();
        }
        expect(server[`openvpnd${version}`]).toBe(server[`openvpn${version}`]);
        expect(client[`openvpnd${version}`]).toBe(client[`openvpn${version}`]);
      }
      expect(server.openvpnd2).toContain(
        '\nCLIENT_LIST,client1,10.77.1.2:P,10.8.0.2,fd08::1000,BYTES,BYTES,DATE,TIME,UNDEF,0,0,AES-',
      );
    }));

  test.skipIf(!nobodyIsMapped())('user and group: root is given up, and restarts, files and routes still work', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const status = join(lab.directory, 'status');
      const drop = ['user nobody', 'group nogroup'];
      const lines = /UID set to nobody|GID set to nogroup|Capabilities retained: CAP_NET_ADMIN/;
      for (const program of ['openvpn', 'openvpnd'] as const) {
        const server = await site.startServer(program, [...drop, `status ${status} 1`]);
        const client = await site.connectClient(program, 0, [...drop, 'persist-tun', 'route 10.50.0.0 255.255.0.0']);
        for (const running of [server, client]) {
          await running.waitForExactly(lines, 3);
          // All threads, not the first alone.
          for (const task of readdirSync(`/proc/${running.pid}/task`)) {
            const [, ...ids] = /^Uid:\t(\d+)\t(\d+)\t(\d+)/m.exec(
              readFileSync(`/proc/${running.pid}/task/${task}/status`, 'utf8'),
            ) ?? [''];
            expect(ids).toEqual(['65534', '65534', '65534']);
          }
        }
        await client.waitForExactly(/NOTE: UID\/GID downgrade will be delayed/, 1);
        await soon(status, /client1/);
        for (const [running, preserved] of [
          [client, 1],
          [server, 1],
        ] as const) {
          const from = running.lines.length;
          running.signal('SIGUSR1');
          await running.waitForLine(UP, UP_TIMEOUT_MS, from);
          expect(running.countLines(/Preserving previous TUN\/TAP instance/)).toBe(preserved);
        }
        expect(await site.clientPlaces[0].ip('route')).toContain('10.50.0.0/16');
        client.signal('SIGTERM');
        expect((await client.waitForEnd()).status).toBe(0);
        expect(await site.clientPlaces[0].ip('route')).not.toContain('10.50.0.0/16');
        server.signal('SIGTERM');
        expect((await server.waitForEnd()).status).toBe(0);
      }
      const refused = startProgram(site.serverPlace, 'openvpnd', [
        ...['--config', join(lab.directory, 'server-openvpnd.conf')],
        ...['--user', 'no-such-user'],
      ]);
      expect((await refused.waitForEnd()).status).toBe(1);
      expect(refused.countLines(/failed to find UID for user no-such-user/)).toBe(1);
    }),
  );

  test.skipIf(!existsSync(join(SAMPLES, 'server.conf')))('the sample configurations run as they are', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const certificate = await tls.client('client');
      const { directory } = lab;
      const put = (name: string, text: string): void => writeFileSync(join(directory, name), text, { mode: 0o600 });
      put('ca.crt', tls.pki.ca);
      put('server.crt', tls.server.cert);
      put('server.key', tls.server.key);
      put('client.crt', certificate.cert);
      put('client.key', certificate.key);
      execFileSync('openssl', [
        'genpkey',
        '-genparam',
        '-algorithm',
        'DH',
        '-pkeyopt',
        'group:ffdhe2048',
        '-out',
        join(directory, 'dh2048.pem'),
      ]);
      // Where the files are and who the server is: no more than that is other than in the samples.
      const sample = (name: string): string => readFileSync(join(SAMPLES, name), 'utf8');
      put('server.conf', sample('server.conf').replaceAll('/var/log/openvpn/', ''));
      put(
        'client.conf',
        sample('client.conf').replace(/^remote my-server-1 /m, `remote ${site.serverAddresses.ipv4} `),
      );
      for (const [atServer, atClient] of [
        ['openvpnd', 'openvpn'],
        ['openvpn', 'openvpnd'],
      ] as const) {
        const server = startProgram(site.serverPlace, atServer, ['--cd', directory, '--config', 'server.conf']);
        await server.waitForLine(UP, UP_TIMEOUT_MS);
        const client = startProgram(site.clientPlaces[0], atClient, ['--cd', directory, '--config', 'client.conf']);
        await client.waitForLine(UP, UP_TIMEOUT_MS);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
        client.signal('SIGTERM');
        expect((await client.waitForEnd()).status).toBe(0);
        server.signal('SIGTERM');
        expect((await server.waitForEnd()).status).toBe(0);
        expect(readFileSync(join(directory, 'ipp.txt'), 'utf8')).toBe('client,10.8.0.2,\n');
        expect(readFileSync(join(directory, 'openvpn-status.log'), 'utf8')).toMatch(/^OpenVPN CLIENT LIST\n/);
        rmSync(join(directory, 'ipp.txt'));
      }
    }),
  );

  test('inactive and session-timeout, pushed and own: both programs end alike', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      // The time begins with a client's first packet: the handshake must be through before it is over.
      const cases = [
        ['inactive 6 100000', /[0-9] Inactivity timeout \(--inactive\), exiting/, 'inactive'],
        ['session-timeout 6', /[0-9] Session timeout, exiting/, 'session-timeout'],
      ] as const;
      for (const [option, line, text] of cases) {
        const server = await site.startServer('openvpnd', [option, `push "${option}"`]);
        const clients = await Promise.all([site.connectClient('openvpn', 0), site.connectClient('openvpnd', 1)]);
        for (const client of clients) {
          expect((await client.waitForEnd()).status).toBe(0);
          expect(client.tail(8)).toMatch(line);
          expect(client.tail(1)).toContain(`SIGTERM[soft,${text}] received, process exiting`);
        }
        await server.waitForLine(new RegExp(`SIGTERM\\[soft,${text}\\] received, client-instance exiting`));
        await server.stop();
      }
    }));
});

/**
 * What SIGUSR2 makes a program print, without times. Returns once it has written its status again: after the last line OpenVPN still has to put the
 * signal away, and puts away with it one that comes meanwhile.
 */
async function statistics(running: RunningProcess, statusFile: string): Promise<string> {
  const from = running.lines.length;
  running.signal('SIGUSR2');
  await running.waitForLine(/END$/, PATIENCE_MS, from);
  const lines = running.lines.slice(from).map((line) => line.replace(/^\d{4}-\d\d-\d\d [\d:]{8} (us=\d+ )?/, ''));
  await rewritten(statusFile);
  return `${lines.filter((line) => !line.startsWith('event_wait')).join('\n')}\n`;
}

/** A status without what differs from run to run: times, ports, the name of the program, and how many bytes there were (but not whether). */
function masked(text: string): string {
  const lines = text.split('\n');
  const isRoute = (line: string): boolean => /^(ROUTING_TABLE.)?(10\.8\.|fd08:)/.test(line);
  // OpenVPN's routes come in the order of a hash.
  const routes = lines.filter(isRoute).sort();
  return lines
    .map((line) => (isRoute(line) ? (routes.shift() ?? '') : line))
    .join('\n')
    .replace(/^(TITLE.)OpenVPN 2\.6\.14 .*$/m, '$1TITLE')
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'DATE')
    .replace(/\b1\d{9}\b/g, 'TIME')
    .replace(/(10\.77\.\d+\.\d+):\d+/g, '$1:P')
    .replace(/(?<=[,\t])[1-9]\d{2,4}(?=[,\t\n])/g, 'BYTES');
}

/** Waits until a file is written that is written once a second. */
async function rewritten(file: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  const before = statSync(file).mtimeMs;
  while (statSync(file).mtimeMs === before) {
    if (performance.now() > deadline) throw new Error(`${file} is not written again`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Waits until a status file says what it will, and gives it whole: it is written once a second, and may be read half written. */
async function soon(file: string, pattern: RegExp): Promise<string> {
  const deadline = performance.now() + PATIENCE_MS;
  for (;;) {
    const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
    if (pattern.test(text) && text.endsWith('END\n')) return text;
    if (performance.now() > deadline) throw new Error(`${file} does not come to say ${pattern}:\n${text}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
