import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, labReady } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline } from './key-files.js';
import { Management } from './management.js';
import { type Program, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];
const PASSWORD = inline('auth-user-pass', 'user\npassword');

describe.skipIf(!ready)('control messages', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  // What the stock client prints for the same messages of the same server was looked at, and stands here.
  for (const [kill, lines, ends] of [
    [
      'RESTART,bye',
      [
        /Connection reset command was pushed by server \('bye'\)/,
        /SIGUSR1\[soft,server-pushed-connection-reset\] received/,
      ],
      false,
    ],
    [
      'RESTART,[N]next',
      [
        /Connection reset command was pushed by server \('\[N\]next'\)/,
        /SIGUSR1\[soft,server-pushed-connection-reset\] received/,
      ],
      false,
    ],
    [
      'RESTART,[P]keep',
      [
        /Connection reset command was pushed by server \('\[P\]keep'\)/,
        /SIGUSR1\[soft,server-pushed-connection-reset\] received/,
      ],
      false,
    ],
    [
      'HALT,go',
      [/Halt command was pushed by server \('go'\)/, /SIGTERM\[soft,server-pushed-halt\] received, process exiting/],
      true,
    ],
  ] as const) {
    test(`${kill}: server openvpn, client openvpnd`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer('openvpn', Management.lines(lab.directory));
        const management = await Management.open(lab.directory);
        const client = await site.connectClient('openvpnd', 0, ['connect-retry 1 1']);
        const from = client.lines.length;
        management.send(`client-kill 0 ${kill}`);
        for (const line of lines) await client.waitForLine(line, UP_TIMEOUT_MS, from);
        if (ends) expect((await client.waitForEnd()).status).toBe(0);
        else await client.waitForLine(UP, UP_TIMEOUT_MS, from);
        management.close();
      }));
  }

  for (const [reason, signal] of [
    ['go away', /SIGTERM\[soft,auth-failure\] received, process exiting/],
    [
      'TEMP[backoff 1,advance no]:later',
      /SIGUSR1\[soft,auth-temp-failure \(server temporary reject\)\] received, process restarting/,
    ],
    ['CRV1:R,E:c3RhdGU=:dXNlcg==:Enter PIN', /SIGTERM\[soft,auth-failure\] received, process exiting/],
    ['SESSION: Token expired', /SIGTERM\[soft,auth-failure\] received, process exiting/],
  ] as const) {
    test(`AUTH_FAILED,${reason}: server openvpn, client openvpnd`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer('openvpn', [...Management.lines(lab.directory), 'management-client-auth']);
        const management = await Management.open(lab.directory);
        const client = await site.startClient('openvpnd', 0, [PASSWORD, 'connect-retry 1 1']);
        const [, cid, kid] = await management.wait(/>CLIENT:CONNECT,(\d+),(\d+)/);
        management.send(`client-deny ${cid} ${kid} "no" "${reason}"`);
        const line = await client.waitForLine(/AUTH: Received control message: (.*)$/, UP_TIMEOUT_MS);
        expect(line[1]).toBe(`AUTH_FAILED,${reason}`);
        await client.waitForLine(signal);
        expect(client.countLines(UP)).toBe(0);
        if (!reason.startsWith('TEMP')) expect((await client.waitForEnd()).status).toBe(0);
        // A temporary failure is tried again.
        else await management.wait(/>CLIENT:CONNECT,1,/);
        management.close();
      }));
  }

  // The same from a server of ours, to both: what the stock client does is what ours has to do.
  for (const client of ['openvpn', 'openvpnd'] as const) {
    for (const [reason, signal] of [
      ['CRV1:R,E:c3RhdGU=:dXNlcg==:Enter PIN', /SIGTERM\[soft,auth-failure\] received, process exiting/],
      ['SESSION: Token expired', /SIGTERM\[soft,auth-failure\] received, process exiting/],
      ['TEMP', /SIGUSR1\[soft,auth-temp-failure \(server temporary reject\)\] received, process restarting/],
      [
        'TEMP[backoff 1,advance remote]:elsewhere',
        /SIGUSR1\[soft,auth-temp-failure \(server temporary reject\)\] received, process restarting/,
      ],
    ] as const) {
      test(`AUTH_FAILED,${reason}: server openvpnd, client ${client}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls);
          const judge = join(lab.directory, 'judge.sh');
          writeFileSync(judge, `#!/bin/sh\nprintf '%s' '${reason}' > "$auth_failed_reason_file"\nexit 1\n`, {
            mode: 0o755,
          });
          await site.startServer('openvpnd', ['script-security 2', `auth-user-pass-verify ${judge} via-file`]);
          const end = await site.startClient(client, 0, [PASSWORD, 'connect-retry 1 1']);
          const line = await end.waitForLine(/AUTH: Received control message: (.*)$/, UP_TIMEOUT_MS);
          expect(line[1]).toBe(`AUTH_FAILED,${reason}`);
          await end.waitForLine(signal);
          expect(end.countLines(UP)).toBe(0);
        }));
    }

    test(`RESTART,[N] of a server that ends: server openvpnd, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer('openvpnd', ['explicit-exit-notify 2']);
        const end = await site.connectClient(client, 0);
        await server.stop();
        await end.waitForLine(/Connection reset command was pushed by server \('\[N\]'\)/, UP_TIMEOUT_MS);
        await end.waitForLine(/SIGUSR1\[soft,server-pushed-connection-reset\] received/);
      }));
  }

  for (const server of ['openvpn', 'openvpnd'] as const) {
    test(`CR_RESPONSE: server ${server}, client openvpn`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const end = await site.startServer(server);
        await site.connectClient('openvpn', 0, Management.lines(lab.directory));
        const management = await Management.open(lab.directory);
        management.send(`cr-response ${Buffer.from('123456').toString('base64')}`);
        // Ours tells its length, not what may be a password.
        await end.waitForLine(/CR response was sent by client \((?:'MTIzNDU2'|8 characters)\)/, UP_TIMEOUT_MS);
        management.close();
      }));
  }

  test('AUTH_PENDING and INFO_PRE prolong the wait: server openvpn, client openvpnd', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      await site.startServer('openvpn', [...Management.lines(lab.directory), 'management-client-auth']);
      const management = await Management.open(lab.directory);
      const client = await site.startClient('openvpnd', 0, [PASSWORD, 'hand-window 20']);
      const [, cid, kid] = await management.wait(/>CLIENT:CONNECT,(\d+),(\d+)/);
      management.send(`client-pending-auth ${cid} ${kid} WEB_AUTH::https://example.org/ 33`);
      await client.waitForLine(/AUTH_PENDING received, extending handshake timeout from 20s to 33s/, UP_TIMEOUT_MS);
      await client.waitForLine(/Info command was pushed by server \('WEB_AUTH::https:\/\/example\.org\/'\)/);
      expect(client.countLines(UP)).toBe(0);
      management.send(`client-auth-nt ${cid} ${kid}`);
      await client.waitForLine(UP, UP_TIMEOUT_MS);
      management.close();
    }));

  test('pull-filter ignores, accepts and rejects: server openvpn, client openvpnd', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      await site.startServer('openvpn', [
        'push "route 10.55.1.0 255.255.255.0"',
        'push "route 10.55.2.0 255.255.255.0"',
      ]);
      const rules = ['pull-filter accept "route 10.55.1"', 'pull-filter ignore "route 10.55"'];
      const client = await site.connectClient('openvpnd', 0, rules);
      expect(client.countLines(/Pushed option removed by filter: 'route 10\.55\.2\.0 255\.255\.255\.0'/)).toBe(1);
      const routes = await site.clientPlaces[0]?.ip('route');
      expect(routes).toContain('10.55.1.0/24');
      expect(routes).not.toContain('10.55.2.0/24');
      await client.stop();
      const rejecting = await site.startClient('openvpnd', 0, ['pull-filter reject "route 10.55.2"']);
      await rejecting.waitForLine(
        /Pushed option rejected by filter: 'route 10\.55\.2\.0 .*'\. {1,2}Restarting\./,
        UP_TIMEOUT_MS,
      );
      expect(rejecting.countLines(UP)).toBe(0);
    }));

  for (const { server, client } of PAIRS) {
    test(`push-peer-info and setenv UV_ tell the server, and only then: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const serverEnd = await site.startServer(server);
        const silent = await site.connectClient(client, 0, ['setenv UV_COLOUR green']);
        await serverEnd.waitForExactly(/peer info: IV_VER=2\.6/, 1);
        await serverEnd.waitForLine(/Peer Connection Initiated/);
        expect(serverEnd.countLines(/peer info: UV_/)).toBe(0);
        await silent.stop();
        await site.connectClient(client, 0, ['push-peer-info', 'setenv UV_COLOUR green', 'setenv COLOUR red']);
        await serverEnd.waitForAtLeast(/Peer Connection Initiated/, 2);
        await serverEnd.waitForExactly(/peer info: UV_COLOUR=green$/, 1);
        expect(serverEnd.countLines(/peer info: .*COLOUR=red/)).toBe(0);
      }));

    test(`push-reset and push-remove of one client: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 3 });
        mkdirSync(join(lab.directory, 'ccd'));
        writeFileSync(join(lab.directory, 'ccd/client2'), 'push-remove "route 10.55.1"\n');
        // What the tunnel cannot do without is pushed again.
        writeFileSync(
          join(lab.directory, 'ccd/client3'),
          'push-reset\npush "topology subnet"\npush "route-gateway 10.8.0.1"\n',
        );
        await site.startServer(server, [
          'client-config-dir ccd',
          'push "route 10.55.1.0 255.255.255.0"',
          'push "route 10.55.2.0 255.255.255.0"',
        ]);
        const routes = [];
        for (const index of [0, 1, 2]) {
          await site.connectClient(client, index);
          const shown = (await site.clientPlaces[index]?.ip('route')) ?? '';
          routes.push(['10.55.1.0/24', '10.55.2.0/24'].filter((route) => shown.includes(route)));
        }
        expect(routes).toEqual([['10.55.1.0/24', '10.55.2.0/24'], ['10.55.2.0/24'], []]);
      }));

    test(`connect-freq lets one client in and not the next: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        // A period that a slow handshake of the first does not use up.
        const serverEnd = await site.startServer(server, ['connect-freq 1 12']);
        await site.connectClient(client, 0);
        const second = await site.startClient(client, 1);
        await serverEnd.waitForLine(
          /MULTI: Connection from 10\.77\.1\.3:\d+ would exceed new connection frequency limit as controlled by --connect-freq/,
          UP_TIMEOUT_MS,
        );
        expect(second.countLines(UP)).toBe(0);
        // Its retransmissions come into the next period, after 14 s at the latest.
        await second.waitForLine(UP, 14_000 + UP_TIMEOUT_MS);
      }));
  }
});
