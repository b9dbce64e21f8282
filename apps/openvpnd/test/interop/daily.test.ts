import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, labReady } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

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
        expect((await server.waitForEnd(5000)).status).toBe(0);
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
      await server.waitForEnd(5000);
      expect(readFileSync(fixed, 'utf8')).toBe('client2,10.8.0.77\n');
    }));
});
