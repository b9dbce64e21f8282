import { join } from 'node:path';
import { Lab, labReady, PATIENCE_MS, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline, stockKeyText, writeKey } from './key-files.js';
import { type Program, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

/** A program that lets only the client with this metadata in, and writes down what it was given. */
const GUARD = `#!/bin/sh
env > guard.env
echo "args: $*" >> guard.env
read -r name < "$metadata_file"
[ "$name" = alice ]
`;

describe.skipIf(!ready)('tls-crypt-v2', () => {
  let tls: TestPki;
  const keys: Record<string, string> = {};
  beforeAll(async () => {
    tls = await TestPki.create();
    await Lab.use(async (lab) => {
      const make = async (name: string, server: string, ...metadata: string[]): Promise<void> => {
        const file = join(lab.directory, `${server}.key`);
        keys[name] = await stockKeyText('tls-crypt-v2-client', '', ...metadata, '--tls-crypt-v2', file);
      };
      for (const server of ['server', 'stranger-server']) {
        keys[server] = await stockKeyText('tls-crypt-v2-server');
        writeKey(lab.directory, `${server}.key`, keys[server]);
      }
      keys.shared = await stockKeyText('secret');
      await make('dated', 'server');
      await make('alice', 'server', btoa('alice'));
      await make('mallory', 'server', btoa('mallory'));
      await make('stranger', 'stranger-server');
    });
  });

  async function siteWithKeys(lab: Lab): Promise<Site> {
    for (const [name, text] of Object.entries(keys)) writeKey(lab.directory, `${name}.key`, text);
    writeKey(lab.directory, 'guard.sh', GUARD);
    return Site.create(lab, tls);
  }

  for (const { server, client } of PAIRS) {
    const who = `server ${server}, client ${client}`;

    for (const [what, key] of [
      ['a key with its date, from files', 'tls-crypt-v2 dated.key'],
      ['a key with metadata of the operator, inline', 'INLINE'],
    ] as const) {
      test(`${what}: ${who}`, () =>
        Lab.use(async (lab) => {
          const site = await siteWithKeys(lab);
          const serverEnd = await site.startServer(server, [
            key === 'INLINE' ? inline('tls-crypt-v2', keys.server as string) : 'tls-crypt-v2 server.key',
          ]);
          const clientEnd = await site.connectClient(client, 0, [
            key === 'INLINE' ? inline('tls-crypt-v2', keys.alice as string) : key,
            'reneg-sec 2',
          ]);
          await clientEnd.waitForLine(/TLS: soft reset sec=/);
          await clientEnd.waitForLine(/Control Channel: TLSv1\.3/, PATIENCE_MS, clientEnd.lines.length);
          expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
          for (const end of [serverEnd, clientEnd]) {
            expect(end.countLines(/TLS Error|unwrap error/)).toBe(0);
            expect(end.countLines(STACK_TRACE)).toBe(0);
          }
        }));
    }

    test(`beside tls-auth and beside tls-crypt, force-cookie: ${who}`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithKeys(lab);
        for (const beside of ['tls-crypt', 'tls-auth']) {
          const serverEnd = await site.startServer(server, [
            'tls-crypt-v2 server.key force-cookie',
            `${beside} shared.key`,
          ]);
          for (const line of ['tls-crypt-v2 dated.key', `${beside} shared.key`]) {
            const clientEnd = await site.connectClient(client, 0, [line]);
            // The server may still send the first answers to the former client of that name.
            const answers = await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 });
            expect(answers.received).toBeGreaterThan(0);
            await clientEnd.stop();
          }
          await serverEnd.stop();
        }
      }));

    test(`a server refuses a key of another server and clients without: ${who}`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithKeys(lab);
        for (const [line, refusal] of [
          ['tls-crypt-v2 stranger.key', /TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]/],
          ['tls-crypt shared.key', /TLS Error: could not determine wrapping from \[AF_INET\]/],
        ] as const) {
          const serverEnd = await site.startServer(server, ['tls-crypt-v2 server.key']);
          const clientEnd = await site.startClient(client, 0, [line]);
          await serverEnd.waitForLine(refusal, UP_TIMEOUT_MS);
          expect(serverEnd.countLines(/Peer Connection Initiated|Control Channel: TLSv/)).toBe(0);
          expect(clientEnd.countLines(UP)).toBe(0);
          await Promise.all([serverEnd.stop(), clientEnd.stop()]);
        }
        const plain = await site.startServer(server, ['tls-crypt shared.key']);
        await site.startClient(client, 0, ['tls-crypt-v2 dated.key']);
        await plain.waitForLine(/can not extract tls-crypt-v2 client key|tls-crypt unwrapping failed/, UP_TIMEOUT_MS);
      }));

    test(`tls-crypt-v2-verify lets one client in and not the other: ${who}`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithKeys(lab);
        const serverEnd = await site.startServer(server, [
          'tls-crypt-v2 server.key',
          'script-security 2',
          'tls-crypt-v2-verify "/bin/sh guard.sh one two"',
          'setenv NOISE 1',
        ]);
        const refused = await site.startClient(client, 0, ['tls-crypt-v2 mallory.key']);
        await serverEnd.waitForLine(/external program exited with error status: 1/, UP_TIMEOUT_MS);
        await serverEnd.waitForLine(/TLS CRYPT V2 VERIFY SCRIPT ERROR/);
        await serverEnd.waitForLine(/TLS Error: can not extract tls-crypt-v2 client key from \[AF_INET\]/);
        await refused.stop();
        expect(refused.countLines(UP)).toBe(0);
        const admitted = await site.connectClient(client, 0, ['tls-crypt-v2 alice.key']);
        await serverEnd.waitForExactly(/TLS CRYPT V2 VERIFY SCRIPT OK/, 1);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.02 })).received).toBe(3);
        const environment = (await site.serverPlace.run('cat', ['guard.env'], PATIENCE_MS)).stdout.trim().split('\n');
        const names = environment.map((line) => line.split('=')[0]).filter((name) => name !== 'PWD');
        expect(names.sort()).toEqual(['args: one two', 'metadata_file', 'metadata_type', 'script_type']);
        await admitted.stop();
      }));
  }

  test('tls-crypt-v2-verify without script-security, and without its program: server openvpnd, client openvpn', () =>
    Lab.use(async (lab) => {
      const site = await siteWithKeys(lab);
      for (const [lines, refusal] of [
        [['tls-crypt-v2-verify /bin/true'], /disallowed by script-security setting/],
        [['script-security 2', 'tls-crypt-v2-verify /nonexistent'], /could not execute external program/],
      ] as const) {
        const serverEnd = await site.startServer('openvpnd', ['tls-crypt-v2 server.key', ...lines]);
        const clientEnd = await site.startClient('openvpn', 0, ['tls-crypt-v2 dated.key']);
        await serverEnd.waitForLine(refusal, UP_TIMEOUT_MS);
        await serverEnd.waitForLine(/SIGUSR1\[soft,tls-error\] received, client-instance restarting/);
        expect(clientEnd.countLines(UP)).toBe(0);
        await Promise.all([serverEnd.stop(), clientEnd.stop()]);
      }
    }));

  test('tls-crypt-v2-max-age takes a new key and refuses one without date: server openvpnd, client openvpn', () =>
    Lab.use(async (lab) => {
      const site = await siteWithKeys(lab);
      const serverEnd = await site.startServer('openvpnd', ['tls-crypt-v2 server.key', 'tls-crypt-v2-max-age 1']);
      const refused = await site.startClient('openvpn', 0, ['tls-crypt-v2 alice.key']);
      await serverEnd.waitForLine(/tls-crypt-v2-max-age/, UP_TIMEOUT_MS);
      await refused.stop();
      expect(refused.countLines(UP)).toBe(0);
      await site.connectClient('openvpn', 0, ['tls-crypt-v2 dated.key']);
    }));
});
