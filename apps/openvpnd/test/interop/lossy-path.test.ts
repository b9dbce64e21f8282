import { Lab, type LabNamespace, labReady, ping, startPing, UdpRelay } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline, stockKeyText, writeKey } from './key-files.js';
import { type Program, Site, TestPki, UP } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

const RELAY = { address: '127.0.0.1', port: 1195 };
/** The handshake is through by then, or it has failed: what is lost again and again is sent again after 2, 4, 8 … seconds. */
const HANDSHAKE_MS = 100_000;
const HAND_WINDOW = `hand-window ${HANDSHAKE_MS / 1000}`;
const SETTINGS = { timeout: 180_000 };

/** One packet in eight is lost each way, and much else happens. */
const FAULTS = { loss: 1 / 8, duplicate: 1 / 16, reorder: 1 / 8, reorderMs: 30, delayMs: 5, jitterMs: 5 };

describe.skipIf(!ready)('a lossy path', () => {
  let tls: TestPki;
  const wraps: Record<string, { server: string[]; client: string[] }> = {};
  beforeAll(async () => {
    tls = await TestPki.create();
    const shared = await stockKeyText('secret');
    const server = await stockKeyText('tls-crypt-v2-server');
    const client = await Lab.use(async (lab) => {
      writeKey(lab.directory, 'v2.key', server);
      return stockKeyText('tls-crypt-v2-client', '--tls-crypt-v2', `${lab.directory}/v2.key`);
    });
    wraps['tls-auth'] = { server: [inline('tls-auth', shared)], client: [inline('tls-auth', shared)] };
    wraps['tls-crypt'] = { server: [inline('tls-crypt', shared)], client: [inline('tls-crypt', shared)] };
    wraps['tls-crypt-v2'] = { server: [inline('tls-crypt-v2', server)], client: [inline('tls-crypt-v2', client)] };
    wraps['no wrapping'] = { server: [], client: [] };
  });

  function relay(site: Site, seed: number, faults: Partial<typeof FAULTS & { corrupt: number }>): Promise<UdpRelay> {
    return UdpRelay.start(site.clientPlaces[0] as LabNamespace, {
      seed,
      listen: RELAY,
      target: { address: site.serverAddresses.ipv4, port: 1194 },
      toTarget: faults,
      fromTarget: faults,
    });
  }

  for (const { server, client } of PAIRS) {
    for (const [index, mode] of ['no wrapping', 'tls-auth', 'tls-crypt', 'tls-crypt-v2'].entries()) {
      const title = `${mode}: handshake and data with one packet in eight lost: server ${server}, client ${client}`;
      test(title, SETTINGS, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls);
          const serverEnd = await site.startServer(server, [HAND_WINDOW, ...(wraps[mode]?.server ?? [])]);
          // Without wrapping nothing tells a changed TLS record from a good one before TLS does, and then it is too late.
          const faults = { ...FAULTS, corrupt: mode === 'no wrapping' ? 0 : 1 / 32 };
          const path = await relay(site, 40 + index, faults);
          const extra = [HAND_WINDOW, ...(wraps[mode]?.client ?? [])];
          const clientEnd = await site.startClient(client, 0, extra, { remote: RELAY });
          await clientEnd.waitForLine(UP, HANDSHAKE_MS);
          const answers = await ping(site.clientPlaces[0], '10.8.0.1', { count: 60, interval: 0.01 });
          // Each must pass both ways: (7/8)² is 77 %, and fewer with what is changed.
          expect(answers.received).toBeGreaterThan(25);
          expect(answers.received).toBeLessThan(60);
          for (const end of [serverEnd, clientEnd]) expect(end.countLines(/AUTH_FAILED|handshake failed/)).toBe(0);
          const { toTarget, fromTarget } = await path.finish();
          for (const counters of [toTarget, fromTarget]) expect(counters.lost).toBeGreaterThan(0);
        }),
      );
    }

    test(`a NAT forgets the client in the middle of the tunnel: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const serverEnd = await site.startServer(server);
        const path = await relay(site, 1, {});
        const clientEnd = await site.startClient(client, 0, [], { remote: RELAY });
        await clientEnd.waitForLine(UP, HANDSHAKE_MS);
        const pings = startPing(site.clientPlaces[0] as LabNamespace, '10.8.0.1', { interval: 0.1 });
        await pings.reply();
        await path.rebind();
        await pings.reply();
        // The stock one tells it to those who ask for more than `verb 3`.
        if (server === 'openvpnd') await serverEnd.waitForLine(/Float requested for peer/);
        await pings.reply();
        const { sent, received } = await pings.finish();
        // What was on its way back to the old port is lost: a reply, or as many as are under way while a busy machine rests for a second.
        expect(sent - received).toBeLessThanOrEqual(10);
        await serverEnd.waitForExactly(/Peer Connection Initiated/, 1);
      }));
  }
});
