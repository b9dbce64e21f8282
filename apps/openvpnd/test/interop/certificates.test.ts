import { writeFileSync } from 'node:fs';
import { Lab, labReady, ping, ThrowAwayPki } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, STACK_TRACE, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpnd', client: 'openvpnd' },
];

describe.skipIf(!labReady('openvpn', 'ping'))('certificates', () => {
  let tls: TestPki;
  let wrong: ThrowAwayPki;
  beforeAll(async () => {
    tls = await TestPki.create();
    wrong = await ThrowAwayPki.create('Wrong CA');
  });

  for (const { server: serverProgram, client: clientProgram } of PAIRS) {
    const who = `server ${serverProgram}, client ${clientProgram}`;

    test(`${who}: a client of another authority is refused, and its neighbour is not`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        const server = await site.startServer(serverProgram);
        const identity = await wrong.issue('stranger', 'client');
        const stranger = await site.startClient(clientProgram, 0, [], { name: 'stranger', identity });
        await server.waitForLine(/VERIFY ERROR: depth=0, .*CN=stranger/, UP_TIMEOUT_MS);
        await site.connectClient(clientProgram, 1);
        expect((await ping(site.clientPlaces[1], '10.8.0.1')).received).toBe(5);
        expect(stranger.countLines(UP)).toBe(0);
        expect(server.countLines(/Peer Connection Initiated with/)).toBe(1);
        expect(server.countLines(STACK_TRACE) + stranger.countLines(STACK_TRACE)).toBe(0);
      }));

    test(`${who}: a server of another authority is refused`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(serverProgram);
        const client = await site.startClient(clientProgram, 0, [], { ca: wrong.ca });
        await client.waitForLine(/VERIFY ERROR: depth=1, .*CN=Test CA/, UP_TIMEOUT_MS);
        expect(client.countLines(UP)).toBe(0);
        expect(client.countLines(STACK_TRACE)).toBe(0);
      }));

    test(`${who}: a revoked certificate is refused, and its neighbour is not`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2, serverExtra: ['crl-verify crl.pem'] });
        const identity = await tls.client('revoked');
        tls.pki.revoke(identity);
        writeFileSync(`${lab.directory}/crl.pem`, await tls.pki.crl());
        const server = await site.startServer(serverProgram);
        const refused = await site.startClient(clientProgram, 0, [], { name: 'revoked', identity });
        await server.waitForLine(/VERIFY ERROR.*revoked/, UP_TIMEOUT_MS);
        await site.connectClient(clientProgram, 1);
        expect((await ping(site.clientPlaces[1], '10.8.0.1')).received).toBe(5);
        expect(refused.countLines(UP)).toBe(0);
      }));

    test(`${who}: a server's certificate does not make a client`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer(serverProgram);
        const identity = await tls.pki.issue('other', 'server');
        const client = await site.startClient(clientProgram, 0, [], { name: 'other', identity });
        // A server's TLS library may refuse it before remote-cert-tls has a say.
        await server.waitForLine(/VERIFY EKU ERROR|VERIFY ERROR/, UP_TIMEOUT_MS);
        expect(client.countLines(UP)).toBe(0);
      }));

    test(`${who}: an expired certificate is refused`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer(serverProgram);
        const identity = await tls.pki.issue('late', 'client', { notBeforeMs: -7_200_000, notAfterMs: -3_600_000 });
        const client = await site.startClient(clientProgram, 0, [], { name: 'late', identity });
        await server.waitForLine(/VERIFY ERROR.*expired/, UP_TIMEOUT_MS);
        expect(client.countLines(UP)).toBe(0);
      }));
  }
});
