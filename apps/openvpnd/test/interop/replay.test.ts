import { fileURLToPath } from 'node:url';
import { Lab, labReady, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
const RELAY = fileURLToPath(new URL('./data-relay.mjs', import.meta.url));
/** Behind the relay. */
const SERVER_PORT = 11_940;
const REPLAY =
  /bad packet ID \(may be a replay\): \[ #\d+ \] -- see the man page entry for --no-replay and --replay-window/;
const FORGED = /AEAD Decrypt error: /;

/** Ours at one end, the stock one at the other; we look at what each tells of what it receives. */
const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

async function startRelay(site: Site, mode: readonly string[]): Promise<RunningProcess> {
  const args = [RELAY, site.serverAddresses.ipv4, '1194', String(SERVER_PORT), ...mode];
  const relay = site.serverPlace.start(process.execPath, args, { title: 'relay' });
  await relay.waitForLine(/^listening$/);
  return relay;
}

describe.skipIf(!ready)('packets that come twice, late or damaged', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  /** A tunnel through the relay, and how many of 40 pings came back. */
  async function through(
    lab: Lab,
    pair: { server: Program; client: Program },
    mode: readonly string[],
    extra: readonly string[] = [],
  ): Promise<{ received: number; server: RunningProcess; client: RunningProcess }> {
    const site = await Site.create(lab, tls);
    const server = await site.startServer(pair.server, [`port ${SERVER_PORT}`, ...extra]);
    await startRelay(site, mode);
    const client = await site.connectClient(pair.client, 0, extra);
    const { received } = await ping(site.clientPlaces[0], '10.8.0.1', { count: 40, interval: 0.05 });
    return { received, server, client };
  }

  for (const pair of PAIRS) {
    const who = `server ${pair.server}, client ${pair.client}`;

    test(`${who}: a replay is refused, and told of in OpenVPN's words`, () =>
      Lab.use(async (lab) => {
        const { received, server, client } = await through(lab, pair, ['repeat', '2']);
        // A repeated request would be answered twice, a repeated answer be a DUP.
        expect(received).toBe(40);
        const [ours, theirs] = pair.server === 'openvpnd' ? [server, client] : [client, server];
        await ours.waitForLine(REPLAY);
        await theirs.waitForLine(REPLAY);
        // One line a second, not one for each of forty.
        expect(ours.countLines(REPLAY)).toBeLessThan(10);
        await theirs.waitForAtLeast(REPLAY, 16);
      }));

    test(`${who}: mute-replay-warnings`, () =>
      Lab.use(async (lab) => {
        const { received, server, client } = await through(lab, pair, ['repeat', '2'], ['mute-replay-warnings']);
        expect(received).toBe(40);
        for (const end of [server, client]) expect(end.countLines(/bad packet ID/)).toBe(0);
      }));

    test(`${who}: a forged packet changes nothing`, () =>
      Lab.use(async (lab) => {
        const { received, server, client } = await through(lab, pair, ['forge', '2']);
        expect(received).toBe(40);
        for (const end of [server, client]) await end.waitForLine(FORGED);
      }));

    test(`${who}: what is late by less than replay-window is taken, by more refused`, () =>
      Lab.use(async (lab) => {
        const wide = await through(lab, pair, ['late', '10', '5'], ['replay-window 8']);
        // All forty, as a rule. If what is late were refused, seven would be missing, as below: four requests and three replies.
        expect(wide.received).toBeGreaterThanOrEqual(38);
        expect(wide.server.countLines(REPLAY) + wide.client.countLines(REPLAY)).toBe(0);
      }).then(() =>
        Lab.use(async (lab) => {
          const narrow = await through(lab, pair, ['late', '10', '5'], ['replay-window 3']);
          expect(narrow.received).toBeLessThan(38);
          for (const end of [narrow.server, narrow.client]) await end.waitForLine(REPLAY);
        }),
      ));
  }
});
