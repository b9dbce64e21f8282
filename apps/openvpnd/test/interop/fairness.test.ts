import { Lab, type LabNamespace, labReady, startPing, tcpThroughput } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { Site, STACK_TRACE, TestPki, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');
/** A flood lasts for so long at least, and as long as the key exchanges that are to happen beside it. */
const FLOOD_SECONDS = 6;
/** What a flood carries at least on the slowest machine that runs these tests: it is one. */
const FLOOD_MEGABITS = 20;
/** Round trips of the modest client beside it, in the middle: far from a second's wait, near enough for a loaded machine. */
const MEDIAN_MS = 100;
const KEY_EXCHANGES = 2;

/** As many datagrams as a process can send, until SIGTERM; then it says how many bits a second that were. */
const BLAST = `
const socket = require('node:dgram').createSocket('udp4');
const [address] = process.argv.slice(1);
const packet = Buffer.alloc(1300);
const begun = performance.now();
let over = false;
process.on('SIGTERM', () => { over = true; });
console.log('sending');
let sent = 0;
const round = () => {
  if (over) return socket.close(() => console.log('%d Mbit/s', sent * 1300 * 8 / (performance.now() - begun) / 1e3));
  let left = 64;
  for (let count = 0; count < 64; count += 1) socket.send(packet, 9, address, () => { sent += 1; if (--left === 0) setImmediate(round); });
};
round();
`;

describe.skipIf(!ready)('one client at line rate does not starve another, nor its control channel', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  const floods: readonly {
    readonly title: string;
    megabits(greedy: LabNamespace, site: Site, until: Promise<unknown>): Promise<number>;
  }[] = [
    {
      title: 'a TCP stream to the server',
      megabits: async (greedy, { serverPlace }, until) =>
        (await tcpThroughput(greedy, serverPlace, '10.8.0.1', { until })).megabitsPerSecond,
    },
    {
      title: 'a TCP stream from the server',
      megabits: async (greedy, site, until) => {
        const target = await site.tunnelAddress(0, 4);
        return (await tcpThroughput(site.serverPlace, greedy, target, { until })).megabitsPerSecond;
      },
    },
    {
      title: 'datagrams without end',
      megabits: async (greedy, _site, until) => {
        const blast = greedy.start(process.execPath, ['-e', BLAST, '10.8.0.1']);
        await Promise.all([blast.waitForLine(/^sending$/), Promise.race([until, blast.ended])]);
        blast.signal('SIGTERM');
        return Number((await blast.waitForLine(/^([\d.]+) Mbit\/s$/))[1]);
      },
    },
  ];

  for (const proto of ['udp4', 'tcp4'] as const) {
    test.each(floods)(`$title, ${proto}`, ({ megabits }) =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2, proto });
        const server = await site.startServer('openvpnd', ['reneg-sec 0']);
        await site.connectClient('openvpnd', 0, ['reneg-sec 0']);
        const modest = await site.connectClient('openvpn', 1, ['reneg-sec 2']);
        const heart = startPing(site.clientPlaces[1], '10.8.0.1', { interval: 0.02 });
        await heart.reply(UP_TIMEOUT_MS);
        const exchanges = async (): Promise<void> => {
          for (let count = 0; count < KEY_EXCHANGES; count += 1) {
            await modest.waitForLine(/Control Channel: TLSv1\.3/, UP_TIMEOUT_MS, modest.lines.length);
          }
        };
        const least = new Promise((resolve) => setTimeout(resolve, FLOOD_SECONDS * 1000));
        const rate = await megabits(site.clientPlaces[0], site, Promise.all([exchanges(), least]));
        const { sent, received, medianMs, timesMs } = await heart.finish();
        // For people who read the figures.
        process.stdout.write(
          `${proto}: ${rate.toFixed(0)} Mbit/s beside ${received} of ${sent} pings, median ${medianMs.toFixed(2)} ms, worst ${Math.max(...timesMs).toFixed(1)} ms\n`,
        );
        expect(rate).toBeGreaterThan(FLOOD_MEGABITS);
        // A flood fills the server's socket, too, while the server waits for a processor.
        expect(received).toBeGreaterThan(sent * 0.7);
        expect(medianMs).toBeLessThan(MEDIAN_MS);
        await server.waitForExactly(/\[client2\] Peer Connection Initiated/, 1);
        expect(modest.countLines(/TLS Error|TLS key negotiation failed/)).toBe(0);
        expect(server.countLines(STACK_TRACE)).toBe(0);
      }),
    );
  }
});
