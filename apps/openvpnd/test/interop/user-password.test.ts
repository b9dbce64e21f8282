import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, TestPki, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** What the stock server runs for each client: accepts alice with her password. */
const VERIFY = '#!/bin/sh\n[ "$username" = alice ] && [ "$password" = "s3cret word" ]\n';

describe.skipIf(!ready).concurrent('auth-user-pass against a stock server', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  async function site(lab: Lab): Promise<Site> {
    const script = join(lab.directory, 'verify.sh');
    writeFileSync(script, VERIFY);
    chmodSync(script, 0o755);
    const made = await Site.create(lab, tls);
    await made.startServer('openvpn', ['script-security 3', `auth-user-pass-verify ${script} via-env`]);
    return made;
  }

  test('the right password is let in, also at each renegotiation', () =>
    Lab.use(async (lab) => {
      const made = await site(lab);
      const file = join(lab.directory, 'login');
      writeFileSync(file, 'alice\ns3cret word\n', { mode: 0o600 });
      const client = await made.connectClient('openvpnd', 0, [`auth-user-pass ${file}`, 'reneg-sec 3']);
      expect((await ping(made.clientPlaces[0], '10.8.0.1', { count: 200, interval: 0.02 })).received).toBe(200);
      await client.waitForAtLeast(/Control Channel: TLSv1\.3/, 2);
      expect(client.tail(200)).not.toContain('s3cret');
    }));

  test('a wrong one is refused, and the client exits', () =>
    Lab.use(async (lab) => {
      const made = await site(lab);
      const client = await made.startClient('openvpnd', 0, ['<auth-user-pass>\nalice\nwrong\n</auth-user-pass>']);
      await client.waitForLine(/AUTH: Received control message: AUTH_FAILED/, UP_TIMEOUT_MS);
      expect((await client.waitForEnd()).status).toBe(0);
      expect(client.tail(2)).toMatch(/SIGTERM\[soft,auth-failure\] received, process exiting/);
    }));

  test('auth-retry nointeract tries again', () =>
    Lab.use(async (lab) => {
      const made = await site(lab);
      const client = await made.startClient('openvpnd', 0, [
        '<auth-user-pass>\nalice\nwrong\n</auth-user-pass>',
        'auth-retry nointeract',
      ]);
      await client.waitForLine(/SIGUSR1\[soft,auth-failure\] received, process restarting/, UP_TIMEOUT_MS);
      await client.waitForLine(/AUTH: Received control message: AUTH_FAILED/, UP_TIMEOUT_MS, client.lines.length);
    }));
});
