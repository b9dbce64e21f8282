import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Lab, labReady, ping, ThrowAwayPki } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
/** Long enough for a refused handshake and its repetitions on a busy machine. */
const REFUSED_TIMEOUT_MS = UP_TIMEOUT_MS;

describe.skipIf(!ready)('who is let in and who is kept out', () => {
  let tls: TestPki;
  let stranger: ThrowAwayPki;
  beforeAll(async () => {
    tls = await TestPki.create();
    stranger = await ThrowAwayPki.create('Wrong CA');
  });

  for (const [server, client] of [
    ['openvpn', 'openvpnd'],
    ['openvpnd', 'openvpn'],
    ['openvpnd', 'openvpnd'],
  ] as const satisfies readonly (readonly [Program, Program])[]) {
    test(`a client that trusts another CA refuses the server: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(server);
        const refusing = await site.startClient(client, 0, [], { ca: stranger.ca });
        await refusing.waitForLine(/VERIFY ERROR: depth=\d, error=.*: CN=/, REFUSED_TIMEOUT_MS);
        await refusing.waitForLine(/TLS Error: TLS handshake failed/, REFUSED_TIMEOUT_MS);
        await refusing.waitForLine(/SIGUSR1\[soft,tls-error\] received, process restarting/, REFUSED_TIMEOUT_MS);
        expect(refusing.countLines(UP)).toBe(0);
        expect(refusing.countLines(STACK_TRACE)).toBe(0);
        await refusing.stop();
        // And the right CA is let in by the same server.
        await site.connectClient(client);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
      }));

    test(`a server refuses a client of another CA: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        const running = await site.startServer(server);
        const refused = await site.startClient(client, 0, [], { identity: await stranger.issue('client1', 'client') });
        await running.waitForLine(/VERIFY ERROR: depth=\d, error=.*: CN=/, REFUSED_TIMEOUT_MS);
        await running.waitForLine(/TLS Error: TLS handshake failed/, REFUSED_TIMEOUT_MS);
        await site.connectClient(client, 1);
        expect((await ping(site.clientPlaces[1], '10.8.0.1', { count: 3 })).received).toBe(3);
        expect(refused.countLines(UP)).toBe(0);
        expect(running.countLines(STACK_TRACE)).toBe(0);
      }));
  }

  test('remote-cert-tls: a client certificate is no server', () =>
    Lab.use(async (lab) => {
      const impostor = new TestPki(tls.pki, await tls.client('server'));
      const site = await Site.create(lab, impostor);
      await site.startServer('openvpn');
      const client = await site.startClient('openvpnd');
      // OpenSSL itself looks at the purpose before the option does.
      await client.waitForLine(
        /VERIFY (EKU ERROR|ERROR: depth=0, error=unsuitable certificate purpose)/,
        REFUSED_TIMEOUT_MS,
      );
      await client.waitForLine(/SIGUSR1\[soft,tls-error\]/, REFUSED_TIMEOUT_MS);
      expect(client.countLines(UP)).toBe(0);
    }));

  test('verify-x509-name: the right name, its beginning, and the wrong one', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      await site.startServer('openvpn');
      for (const option of ['verify-x509-name server name', 'verify-x509-name ser name-prefix']) {
        const accepted = await site.connectClient('openvpnd', 0, [option]);
        expect(accepted.countLines(/VERIFY X509NAME OK: /)).toBe(1);
        await accepted.stop();
      }
      const refused = await site.startClient('openvpnd', 0, ['verify-x509-name other name']);
      await refused.waitForLine(/VERIFY X509NAME ERROR: .*, must be other/, REFUSED_TIMEOUT_MS);
      await refused.waitForLine(/SIGUSR1\[soft,tls-error\]/, REFUSED_TIMEOUT_MS);
      expect(refused.countLines(UP)).toBe(0);
    }));

  test('crl-verify: the revoked client is kept out, its neighbour is let in', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      const revoked = await tls.client('client1');
      tls.pki.revoke(revoked);
      const list = join(lab.directory, 'crl.pem');
      writeFileSync(list, await tls.pki.crl());
      const server = await site.startServer('openvpnd', [`crl-verify ${list}`]);
      const refused = await site.startClient('openvpn', 0, [], { identity: revoked });
      await server.waitForLine(/VERIFY ERROR: depth=0, error=certificate revoked: CN=client1/, REFUSED_TIMEOUT_MS);
      await site.connectClient('openvpn', 1);
      expect(refused.countLines(UP)).toBe(0);
    }));

  for (const [what, purpose, validity] of [
    ['an expired certificate', 'client', { notBeforeMs: -7_200_000, notAfterMs: -3_600_000 }],
    ["a server's certificate", 'server', {}],
  ] as const) {
    test(`${what} does not make a client, its neighbour's does`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        const server = await site.startServer('openvpnd');
        const refused = await site.startClient('openvpn', 0, [], {
          identity: await tls.pki.issue('client1', purpose, validity),
        });
        await server.waitForLine(/TLS Error: TLS handshake failed/, REFUSED_TIMEOUT_MS);
        await site.connectClient('openvpn', 1);
        expect(refused.countLines(UP)).toBe(0);
      }));
  }

  test('no cipher in common: AUTH_FAILED with its reason, in both directions', () =>
    Lab.use(async (lab) => {
      for (const [server, client] of [
        ['openvpn', 'openvpnd'],
        ['openvpnd', 'openvpn'],
      ] as const) {
        const site = await Site.create(lab, tls);
        const running = await site.startServer(server, ['data-ciphers AES-256-GCM']);
        const refused = await site.startClient(client, 0, ['data-ciphers CHACHA20-POLY1305']);
        await refused.waitForLine(
          /AUTH: Received control message: AUTH_FAILED,Data channel cipher negotiation failed \(no shared cipher\)/,
          UP_TIMEOUT_MS,
        );
        expect((await refused.waitForEnd()).status).toBe(0);
        expect(refused.tail(3)).toMatch(/SIGTERM\[soft,.*\] received, process exiting/);
        expect(running.countLines(STACK_TRACE)).toBe(0);
      }
    }));
});
