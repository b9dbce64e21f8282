import { Lab, labReady, PATIENCE_MS, ping, startPing } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, type Proto, pingSizes, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
const EPOCHS = /^.*Protocol options: .*protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch$/;

/** OpenVPN 2.7 has epoch data keys, and none of it is at hand: they are tried between two of ours. */
describe.skipIf(!ready)('epoch data keys', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const [proto, cipher] of [
    ['udp4', 'AES-256-GCM'],
    ['udp6', 'CHACHA20-POLY1305'],
    ['tcp4', 'AES-128-GCM'],
  ] as const satisfies readonly (readonly [Proto, string])[]) {
    test(`between two of ours, through renegotiations: ${proto}, ${cipher}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { proto, ciphers: [cipher] });
        const server = await site.startServer('openvpnd', ['reneg-sec 3', 'verb 4']);
        const client = await site.connectClient('openvpnd', 0, ['reneg-sec 0', 'verb 4']);
        await client.waitForLine(EPOCHS);
        await server.waitForLine(/protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch/);
        const pings = startPing(site.clientPlaces[0], '10.8.0.1', { interval: 0.02 });
        for (let round = 0; round < 2; round += 1) {
          await client.waitForLine(/TLS: received P_CONTROL_SOFT_RESET_V1/, PATIENCE_MS, client.lines.length);
        }
        await pings.reply();
        const { sent, received } = await pings.finish();
        // One may be on its way when ping is told to stop.
        expect(sent - received).toBeLessThanOrEqual(1);
        expect(await pingSizes(site.clientPlaces[0], ['10.8.0.1', 'fd08::1'], [64, 1200, 1400])).toEqual([]);
        for (const end of [server, client]) expect(end.countLines(/Authenticate\/Decrypt|bad packet ID/)).toBe(0);
      }));
  }

  for (const [server, client] of [
    ['openvpn', 'openvpnd'],
    ['openvpnd', 'openvpn'],
  ] as const satisfies readonly (readonly [Program, Program])[]) {
    test(`OpenVPN 2.6 knows nothing of them: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const ends = [await site.startServer(server), await site.connectClient(client)];
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.1 })).received).toBe(5);
        for (const end of ends) expect(end.countLines(/aead-epoch/)).toBe(0);
      }));
  }
});
