import { fileURLToPath } from 'node:url';
import { Lab, labReady, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
const FLOW = fileURLToPath(new URL('./sequence-flow.mjs', import.meta.url));
/** A packet of 200 bytes every 4 ms, each way. */
const INTERVAL_MS = 4;
const RENEGOTIATIONS = 4;
/** A socket holds what comes while its program waits for a processor: this is about keys, and not about that. */
const RECEIVE_BUFFER = 'rcvbuf 4194304';

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpnd', client: 'openvpnd' },
];

interface Tally {
  readonly sent: number;
  readonly received: number;
  readonly duplicates: number;
}

async function tally(flow: RunningProcess): Promise<Tally> {
  const [line] = await flow.waitForLine(/^\{.*\}$/);
  return JSON.parse(line) as Tally;
}

describe.skipIf(!ready)('renegotiation under load', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const { server, client } of PAIRS) {
    test(`loses no packet, either way: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(server, ['reneg-sec 0', RECEIVE_BUFFER]);
        // The client's lines tell of each new key: it asks for them.
        const end = await site.connectClient(client, 0, ['reneg-sec 3', RECEIVE_BUFFER]);
        const inside = await site.tunnelAddress(0, 4);
        const start = (place: typeof site.serverPlace, own: string, peer: string): RunningProcess =>
          place.start(process.execPath, [FLOW, own, peer, `${INTERVAL_MS}`], { title: `flow from ${own}` });
        const there = start(site.serverPlace, '10.8.0.1', inside);
        const here = start(site.clientPlaces[0], inside, '10.8.0.1');
        for (const flow of [there, here]) await flow.waitForLine(/ready/);
        for (const flow of [there, here]) flow.signal('SIGUSR2');
        let from = end.lines.length;
        for (let round = 0; round < RENEGOTIATIONS; round += 1) {
          await end.waitForLine(/Control Channel: TLSv1\.3/, 20_000, from);
          from = end.lines.length;
        }
        for (const flow of [there, here]) flow.signal('SIGTERM');
        const [ofServer, ofClient] = [await tally(there), await tally(here)];
        expect(ofClient.sent).toBeGreaterThan(500);
        expect({ lostUp: ofClient.sent - ofServer.received, lostDown: ofServer.sent - ofClient.received }).toEqual({
          lostUp: 0,
          lostDown: 0,
        });
        expect([ofServer.duplicates, ofClient.duplicates]).toEqual([0, 0]);
      }));
  }
});
