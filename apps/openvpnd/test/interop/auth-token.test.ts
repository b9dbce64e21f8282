import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Lab, Lab as LabClass, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const LOGIN = '<auth-user-pass>\nalice\ns3cret word\n</auth-user-pass>';
const PROGRAMS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpnd' },
];

/** Writes down how it was called; lets alice in. */
const JUDGE = `#!/bin/sh
[ -n "$1" ] && { username=$(sed -n 1p "$1"); password=$(sed -n 2p "$1"); }
echo "$script_type $username $password $common_name $untrusted_ip $IV_PLAT $session_state" >> "$0.log"
[ "$username" = alice ] && [ "$password" = "s3cret word" ]
`;

function program(lab: Lab, text: string): string {
  const file = join(lab.directory, 'judge.sh');
  writeFileSync(file, text);
  chmodSync(file, 0o755);
  return file;
}

function calls(lab: Lab): readonly string[] {
  return readFileSync(join(lab.directory, 'judge.sh.log'), 'utf8').trimEnd().split('\n');
}

describe.skipIf(!labReady('openvpn', 'ping')).concurrent('passwords and tokens', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const { server, client } of PROGRAMS) {
    test(`a token stands for the password at each new key: server ${server}, client ${client}`, () =>
      LabClass.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const judge = program(lab, JUDGE);
        const serverEnd = await site.startServer(server, [
          'script-security 2',
          `auth-user-pass-verify ${judge} via-file`,
          'auth-gen-token 0 40',
          'hand-window 20',
          'reneg-sec 4',
        ]);
        const end = await site.connectClient(client, 0, [LOGIN, 'reneg-sec 0', 'hand-window 20']);
        const accepted = /TLS: Username\/auth-token authentication succeeded for username 'alice'/;
        const pings = ping(site.clientPlaces[0], '10.8.0.1', { count: 200, interval: 0.05 });
        await serverEnd.waitForLine(accepted, UP_TIMEOUT_MS);
        await serverEnd.waitForLine(accepted, UP_TIMEOUT_MS, serverEnd.lines.length);
        expect((await pings).received).toBe(200);
        expect(calls(lab)).toEqual([
          expect.stringMatching(/^user-pass-verify alice s3cret word client1 10\.77\.1\.2 linux/),
        ]);
        expect(end.countLines(UP)).toBe(1);
        for (const one of [serverEnd, end]) expect(one.tail(400)).not.toMatch(/SESS_ID_AT_[A-Za-z0-9]|s3cret/);
      }));
  }

  for (const client of ['openvpn', 'openvpnd'] as const) {
    test(`a token that the server does not know any more is given up for the password: client ${client}`, () =>
      LabClass.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const judge = program(lab, JUDGE);
        const options = [
          'script-security 3',
          `auth-user-pass-verify ${judge} via-env`,
          'auth-gen-token',
          'explicit-exit-notify 1',
        ];
        const first = await site.startServer('openvpnd', options);
        const end = await site.connectClient(client, 0, [LOGIN, 'connect-retry 1 1']);
        await first.stop();
        const from = end.lines.length;
        await site.startServer('openvpnd', options);
        await end.waitForLine(/AUTH: Received control message: AUTH_FAILED$/, UP_TIMEOUT_MS, from);
        await end.waitForLine(
          /SIGUSR1\[soft,auth-failure \(auth-token\)\] received, process restarting/,
          UP_TIMEOUT_MS,
          from,
        );
        await end.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect(calls(lab)).toHaveLength(2);
      }));

    test(`the secret of a file outlives the server: client ${client}`, () =>
      LabClass.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const judge = program(lab, JUDGE);
        const secret = join(lab.directory, 'token.key');
        // The stock program makes the secret, and its server takes the token that ours has given.
        const made = site.serverPlace.start('openvpn', ['--genkey', 'auth-token', secret]);
        expect((await made.waitForEnd()).status).toBe(0);
        const options = [
          'script-security 3',
          `auth-user-pass-verify ${judge} via-env`,
          'auth-gen-token',
          `auth-gen-token-secret ${secret}`,
          'explicit-exit-notify 1',
        ];
        const first = await site.startServer('openvpnd', options);
        const end = await site.connectClient(client, 0, [LOGIN, 'connect-retry 1 1']);
        await first.stop();
        const from = end.lines.length;
        const second = await site.startServer('openvpn', options);
        await end.waitForLine(UP, UP_TIMEOUT_MS, from);
        await second.waitForExactly(/auth-token authentication succeeded for username 'alice'/, 1);
        expect(calls(lab)).toHaveLength(1);
      }));

    test(`a program takes its time, asks for more, and says why not: client ${client}`, () =>
      LabClass.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const judge = program(
          lab,
          `#!/bin/sh
case "$password" in
  slow) (sleep 1; printf 1 > "$auth_control_file") & exit 2 ;;
  web) printf '30\\nwebauth\\nWEB_AUTH::https://example.org/\\n' > "$auth_pending_file"
    (sleep 2; printf 1 > "$auth_control_file") & exit 2 ;;
  never) (sleep 1; printf 0 > "$auth_control_file"; ) & exit 2 ;;
  later) printf 'TEMP[backoff 1,advance no]:busy' > "$auth_failed_reason_file"; exit 1 ;;
esac
exit 1
`,
        );
        await site.startServer('openvpnd', ['script-security 3', `auth-user-pass-verify ${judge} via-env`]);
        const login = (password: string): string => `<auth-user-pass>\nalice\n${password}\n</auth-user-pass>`;
        for (const password of ['slow', 'web']) {
          const end = await site.connectClient(client, 0, [login(password), 'setenv IV_SSO webauth', 'verb 4']);
          if (password === 'web') {
            expect(end.countLines(/AUTH_PENDING received, extending handshake timeout from 60s to 30s/)).toBe(1);
            expect(end.countLines(/Info command was pushed by server \('WEB_AUTH::https:\/\/example\.org\/'\)/)).toBe(
              1,
            );
          }
          await end.stop();
        }
        for (const [password, line] of [
          ['never', /AUTH: Received control message: AUTH_FAILED$/],
          ['wrong', /AUTH: Received control message: AUTH_FAILED$/],
          ['later', /AUTH: Received control message: AUTH_FAILED,TEMP\[backoff 1,advance no\]:busy/],
        ] as const) {
          const end = await site.startClient(client, 0, [login(password)]);
          await end.waitForLine(line, UP_TIMEOUT_MS);
          expect(end.countLines(UP)).toBe(0);
          await end.stop();
        }
      }));
  }

  test('without script-security nobody gets in', () =>
    LabClass.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const judge = program(lab, JUDGE);
      const serverEnd = await site.startServer('openvpnd', [`auth-user-pass-verify ${judge} via-file`]);
      const end = await site.startClient('openvpnd', 0, [LOGIN]);
      await end.waitForLine(/AUTH: Received control message: AUTH_FAILED$/, UP_TIMEOUT_MS);
      await serverEnd.waitForExactly(/External program may not be called unless '--script-security 2' or higher/, 1);
      expect((await end.waitForEnd()).status).toBe(0);
    }));
});
