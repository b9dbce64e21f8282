import { Lab, labReady, PATIENCE_MS, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const CASES: readonly { server: Program; client: Program; initiator: 'server' | 'client' }[] = [
  { server: 'openvpn', client: 'openvpnd', initiator: 'server' },
  { server: 'openvpn', client: 'openvpnd', initiator: 'client' },
  { server: 'openvpnd', client: 'openvpn', initiator: 'server' },
  { server: 'openvpnd', client: 'openvpn', initiator: 'client' },
  { server: 'openvpnd', client: 'openvpnd', initiator: 'server' },
  { server: 'openvpnd', client: 'openvpnd', initiator: 'client' },
];

/** As many key exchanges as a test waits for, at one every three seconds. */
const RENEGOTIATIONS = 3;

describe.skipIf(!ready)('renegotiation loses nothing', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const { server, client, initiator } of CASES) {
    test(`every three seconds from the ${initiator}: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const often = ['reneg-sec 3'];
        const never = ['reneg-sec 0'];
        const serverEnd = await site.startServer(server, initiator === 'server' ? often : never);
        const clientEnd = await site.connectClient(client, 0, initiator === 'client' ? often : never);
        const pinging = ping(site.clientPlaces[0], '10.8.0.1', { interval: 0.02, count: 560 });
        for (let i = 0; i < RENEGOTIATIONS; i++) {
          await clientEnd.waitForLine(/Control Channel: TLSv1\.3/, PATIENCE_MS, clientEnd.lines.length);
        }
        expect((await pinging).received).toBe(560);
        await serverEnd.waitForAtLeast(/Control Channel: TLSv1\.3/, RENEGOTIATIONS);
        // Once connected, always connected: no session was replaced by a new one.
        await serverEnd.waitForExactly(/Peer Connection Initiated with/, 1);
        for (const end of [serverEnd, clientEnd]) {
          expect(end.countLines(/TLS Error|Authenticate\/Decrypt packet error|bad packet ID/)).toBe(0);
        }
      }));
  }

  for (const [option, server, client] of [
    ['reneg-pkts 150', 'openvpnd', 'openvpn'],
    ['reneg-bytes 15000', 'openvpnd', 'openvpn'],
    ['reneg-pkts 150', 'openvpn', 'openvpnd'],
    ['reneg-bytes 15000', 'openvpn', 'openvpnd'],
  ] as const) {
    test(`by use, ${option} at ours: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const at = (program: Program): string[] => (program === 'openvpnd' ? [option] : []);
        const serverEnd = await site.startServer(server, at(server));
        const clientEnd = await site.connectClient(client, 0, at(client));
        const pinged = await ping(site.clientPlaces[0], '10.8.0.1', { interval: 0.02, count: 350 });
        expect(pinged.received).toBe(350);
        const ours = server === 'openvpnd' ? serverEnd : clientEnd;
        await ours.waitForAtLeast(/TLS: soft reset/, 2);
        await clientEnd.waitForAtLeast(/Control Channel: TLSv1\.3/, 3);
      }));
  }
});
