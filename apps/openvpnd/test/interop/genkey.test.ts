import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type FinishedProcess, Lab, type LabNamespace, labReady, PATIENCE_MS, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, programCommand, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

describe.skipIf(!ready)('genkey', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  function run(place: LabNamespace, program: Program, ...args: readonly string[]): Promise<FinishedProcess> {
    const [command = '', ...before] = programCommand(program);
    return place.run(command, [...before, ...args], PATIENCE_MS);
  }

  // Who makes the keys; the other one uses them, in both roles.
  for (const maker of ['openvpnd', 'openvpn'] as const) {
    const user = maker === 'openvpn' ? 'openvpnd' : 'openvpn';

    test(`keys made by ${maker} serve ${user} and ${maker} in both roles`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const place = site.serverPlace;
        const good = async (...args: string[]): Promise<void> => {
          const done = await run(place, maker, ...args);
          expect(done.output).toBe('');
          expect(done.status).toBe(0);
        };
        await good('--genkey', 'secret', 'shared.key');
        await good('--genkey', 'tls-crypt-v2-server', 'v2.key');
        await good('--tls-crypt-v2', 'v2.key', '--genkey', 'tls-crypt-v2-client', 'dated.key');
        await good('--genkey', 'tls-crypt-v2-client', 'named.key', btoa('somebody'), '--tls-crypt-v2', 'v2.key');
        for (const file of ['shared.key', 'v2.key', 'dated.key', 'named.key']) {
          expect(statSync(join(lab.directory, file)).mode & 0o777).toBe(0o600);
        }
        for (const [server, client] of [
          [user, maker],
          [maker, user],
        ] as const) {
          // Each key is used in one of the two roles, the server key in both.
          const uses = {
            [user]: [['tls-crypt-v2 v2.key', 'tls-crypt-v2 dated.key']],
            [maker]: [
              ['tls-crypt shared.key', 'tls-crypt shared.key'],
              ['tls-crypt-v2 v2.key', 'tls-crypt-v2 named.key'],
            ],
          };
          for (const [serverLine = '', clientLine = ''] of uses[server] ?? []) {
            const serverEnd = await site.startServer(server, [serverLine]);
            const clientEnd = await site.connectClient(client, 0, [clientLine]);
            const answers = await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.02 });
            expect(answers.received).toBeGreaterThan(0);
            await Promise.all([serverEnd.stop(), clientEnd.stop()]);
          }
        }
      }));
  }

  test('forms, messages and statuses are those of openvpn', () =>
    Lab.use(async (lab) => {
      const place = await lab.namespace('keys');
      await run(place, 'openvpn', '--genkey', 'tls-crypt-v2-server', 'v2.key');
      await run(place, 'openvpn', '--genkey', 'secret', 'shared.key');
      const cases: readonly (readonly string[])[] = [
        ['--genkey'],
        ['--genkey', 'tls-auth'],
        ['--genkey', 'tls-crypt'],
        ['--genkey', 'tls-crypt-v2-server'],
        ['--genkey', 'auth-token'],
        ['--tls-crypt-v2', 'v2.key', '--genkey', 'tls-crypt-v2-client'],
        ['--genkey', 'secret', 'out.key', 'ignored'],
        ['--genkey', '--secret', 'old.key'],
        ['--genkey', 'bogus'],
        ['--genkey', 'secret', 'out.key', 'one', 'two'],
        ['--genkey', 'tls-crypt-v2-client', 'out.key'],
        ['--genkey', 'secret', '/nonexistent/out.key'],
        ['--tls-crypt-v2', 'shared.key', '--genkey', 'tls-crypt-v2-client', 'out.key'],
        [
          '--tls-crypt-v2',
          'v2.key',
          '--genkey',
          'tls-crypt-v2-client',
          'out.key',
          Buffer.alloc(740).toString('base64'),
        ],
        ['--tls-crypt-v2', 'v2.key', '--genkey', 'tls-crypt-v2-client', 'out.key', Buffer.alloc(12).toString('base64')],
      ];
      for (const args of cases) {
        const [stock, ours] = [await run(place, 'openvpn', ...args), await run(place, 'openvpnd', ...args)];
        expect({ args, status: ours.status, lines: shape(ours.stdout) }).toEqual({
          args,
          status: stock.status,
          lines: shape(stock.stdout),
        });
      }
      // A key for auth-gen-token has no user among the options here yet: its form is what can be compared.
      await run(place, 'openvpnd', '--genkey', 'auth-token', 'token.key');
      expect(readFileSync(join(lab.directory, 'token.key'), 'latin1').split('\n')).toHaveLength(6);
      // OpenVPN makes a key without metadata of this.
      const wrong = await run(
        place,
        'openvpnd',
        '--tls-crypt-v2',
        'v2.key',
        '--genkey',
        'tls-crypt-v2-client',
        'x.key',
        '!!!',
      );
      expect(wrong.status).toBe(1);
      expect(wrong.stdout).toContain('is not base64');
    }));
});

/** The lines without what is secret, dated, or ours to add behind OpenVPN's words. */
function shape(output: string): readonly string[] {
  return output
    .split('\n')
    .map((line) => line.replace(/^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /, ''))
    .filter((line) => !line.startsWith('crypto_pem_decode'))
    .map((line) => (/^[0-9a-f]{32}$/.test(line) ? 'hex' : /^[A-Za-z0-9+/]{2,64}=*$/.test(line) ? 'base64' : line))
    .map((line) =>
      line.replace(
        /^(Options error: (unknown --genkey type: \w+|Unrecognized option or missing or extra parameter\(s\) in \S+ genkey)).*/,
        '$1',
      ),
    )
    .map((line) => line.replace(/(pem decode failed).*/, '$1'))
    .filter((line) => line !== '');
}
