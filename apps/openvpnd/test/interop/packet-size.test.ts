import { Lab, labReady, ping, tcpThroughput } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, pingSizes, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping', 'ss');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

/** Prints the MSS that the kernel sends with on a connection to a listener of its own in the other namespace. */
const MSS_PROBE = `
  const net = require('node:net'), { execFileSync } = require('node:child_process');
  const socket = net.connect(5000, process.argv[1], () => {
    const text = execFileSync('ss', ['-tin', 'dst', process.argv[1].includes(':') ? '[' + process.argv[1] + ']' : process.argv[1]], { encoding: 'utf8' });
    console.log('mss ' + /\\bmss:(\\d+)/.exec(text)[1]);
    socket.destroy();
  });
  socket.on('error', (error) => { console.log('failed ' + error.message); });
`;
const LISTENER = `require('node:net').createServer((socket) => socket.on('error', () => {})).listen(5000, '::', () => console.log('listening'));`;

const SETTINGS: readonly {
  title: string;
  lines: readonly string[];
  proto?: 'udp4' | 'udp6';
  ciphers?: readonly string[];
}[] = [
  { title: 'the default', lines: [] },
  { title: 'the default over IPv6', lines: [], proto: 'udp6' },
  { title: 'mssfix 1200 mtu over IPv6', lines: ['mssfix 1200 mtu'], proto: 'udp6' },
  { title: 'mssfix 1200 fixed', lines: ['mssfix 1200 fixed'] },
  { title: 'fragment 1300 mtu and mssfix 1200', lines: ['fragment 1300 mtu', 'mssfix 1200'] },
  { title: 'mssfix 0', lines: ['mssfix 0'] },
  { title: 'tun-mtu 1400', lines: ['tun-mtu 1400'] },
  { title: 'CBC with comp-lzo no', lines: ['mssfix 1203', 'comp-lzo no'], ciphers: ['AES-128-CBC'] },
  { title: 'compress stub with fragment', lines: ['compress stub', 'fragment 1100'] },
  { title: 'max-packet-size 1000', lines: ['max-packet-size 1000'] },
];

describe.skipIf(!ready)('the size of packets', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  /** What TCP agrees on inside the tunnel, over IPv4 and IPv6, from the client and from the server. */
  async function segmentSizes(
    lab: Lab,
    pair: { server: Program; client: Program },
    { lines, proto, ciphers }: (typeof SETTINGS)[number],
  ): Promise<readonly string[]> {
    const site = await Site.create(lab, tls, { proto, ciphers });
    await site.startServer(pair.server, lines);
    await site.connectClient(pair.client, 0, lines);
    const [client] = site.clientPlaces;
    for (const place of [client, site.serverPlace]) {
      await place.start(process.execPath, ['-e', LISTENER]).waitForLine(/^listening$/);
    }
    const targets = [
      [client, '10.8.0.1'],
      [client, 'fd08::1'],
      [site.serverPlace, await site.tunnelAddress(0, 4)],
      [site.serverPlace, await site.tunnelAddress(0, 6)],
    ] as const;
    const probes = targets.map(([from, target]) => from.run(process.execPath, ['-e', MSS_PROBE, target], 15_000));
    return (await Promise.all(probes)).map(({ output }) => output.trim());
  }

  for (const setting of SETTINGS) {
    test(`TCP segments are as long as between two stock ends: ${setting.title}`, () =>
      Lab.use(async (lab) => {
        const [stock, ...ours] = await Promise.all(
          [{ server: 'openvpn', client: 'openvpn' } as const, ...PAIRS].map((pair) => segmentSizes(lab, pair, setting)),
        );
        const limit = Number(
          /(?:mssfix|fragment|max-packet-size) (1\d{3})/.exec(setting.lines.join('\n'))?.[1] ?? 1500,
        );
        for (const line of stock) expect(Number(/^mss (\d+)$/.exec(line)?.[1])).toBeLessThan(limit - 40);
        expect(ours).toEqual([stock, stock]);
      }));
  }

  for (const pair of PAIRS) {
    const who = `server ${pair.server}, client ${pair.client}`;

    test(`${who}: fragment carries packets of every size, and a stream`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const fragment = ['fragment 400', 'mssfix 0'];
        const server = await site.startServer(pair.server, fragment);
        const client = await site.connectClient(pair.client, 0, fragment);
        const [place] = site.clientPlaces;
        const sizes = [16, 300, 343, 344, 345, 400, 1000, 1472, 4000];
        expect(await pingSizes(place, ['10.8.0.1'], sizes)).toEqual([]);
        const stream = await tcpThroughput(place, site.serverPlace, '10.8.0.1', { seconds: 0.5 });
        expect(stream.bytes).toBeGreaterThan(100_000);
        for (const end of [server, client]) {
          expect(end.countLines(/FRAG_IN error|used inconsistently|present in (local|remote) config/)).toBe(0);
        }
      }));

    test(`${who}: fragment at one end alone lets nothing through`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(pair.server, ['fragment 1000']);
        await site.connectClient(pair.client);
        expect(
          (await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.01, patienceMs: 2000 })).received,
        ).toBe(0);
      }));

    test(`${who}: tun-mtu is pushed, up to tun-mtu-max`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { clients: 2 });
        await site.startServer(pair.server, ['tun-mtu 4000']);
        const willing = await site.connectClient(pair.client, 0, ['tun-mtu-max 5000']);
        const [place, other] = site.clientPlaces;
        expect(await pingSizes(place, ['10.8.0.1'], [3900])).toEqual([]);
        expect(await place.ip('link')).toContain('mtu 4000');
        expect(willing.countLines(/Server-pushed tun-mtu is too large/)).toBe(0);
        // Larger than it is ready to take: at its own limit.
        const unwilling = await site.connectClient(pair.client, 1);
        await unwilling.waitForLine(/Server-pushed tun-mtu is too large, please add tun-mtu-max 4000/);
        expect(await pingSizes(other, ['10.8.0.1'], [1300])).toEqual([]);
        expect(await other.ip('link')).toContain('mtu 1600');
      }));
  }
});
