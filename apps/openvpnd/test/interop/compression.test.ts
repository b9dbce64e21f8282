import { writeFileSync } from 'node:fs';
import { Lab, labReady, ping } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, pingSizes, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

/** What both ends have in their configuration, and what the stock one calls it. */
const FRAMINGS: readonly { line: string; name: string }[] = [
  { line: 'compress', name: 'stub' },
  { line: 'compress stub-v2', name: 'stubv2' },
  { line: 'comp-lzo no', name: 'stub' },
  { line: 'comp-lzo', name: 'lzo' },
  { line: 'compress lz4', name: 'lz4' },
  { line: 'compress lz4-v2', name: 'lz4v2' },
];

describe.skipIf(!ready)('compression framings', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  /** Pings of several sizes; the stock end compresses what it sends, since ping fills packets with a pattern. */
  async function expectThrough(site: Site): Promise<void> {
    const [place] = site.clientPlaces;
    expect(await pingSizes(place, ['10.8.0.1', 'fd08::1'], [56, 1400, 4000])).toEqual([]);
  }

  for (const pair of PAIRS) {
    const who = `server ${pair.server}, client ${pair.client}`;

    for (const { line, name } of FRAMINGS) {
      test(`${who}: ${line}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls);
          // Only so does the stock end compress what it sends, and it goes on doing so when we do not.
          const extra = name.startsWith('stub') ? [line] : [line, 'allow-compression yes'];
          const server = await site.startServer(pair.server, extra);
          const client = await site.connectClient(pair.client, 0, extra);
          await expectThrough(site);
          for (const end of [server, client]) {
            await end.waitForLine(new RegExp(`Data Channel: cipher .*, compression: '${name}'`));
            expect(end.countLines(/used inconsistently|present in (local|remote) config/)).toBe(0);
            expect(end.countLines(/[Bb]ad .*header byte|decompression error/)).toBe(0);
          }
          if (pair.client === 'openvpnd' || name.startsWith('stub')) return;
          // What we have read was compressed indeed, and what we sent was not.
          client.signal('SIGUSR2');
          const bytes = async (which: string): Promise<number> =>
            Number((await client.waitForLine(new RegExp(`${which} bytes,(\\d+)`)))[1]);
          expect(await bytes('post-compress')).toBeLessThan((await bytes('pre-compress')) / 2);
          expect(await bytes('pre-decompress')).toBe(0);
        }));
    }

    test(`${who}: pushed to a client that says nothing of compression`, () =>
      Lab.use(async (lab) => {
        for (const line of ['comp-lzo no', 'compress stub', 'compress stub-v2']) {
          const site = await Site.create(lab, tls);
          await site.startServer(pair.server, [line, `push "${line}"`]);
          const client = await site.connectClient(pair.client);
          await expectThrough(site);
          await client.waitForLine(/Data Channel: cipher .*, compression: 'stub(v2)?'/);
        }
      }));

    test(`${who}: compression pushed to a client that did not allow it ends the connection`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(pair.server, ['compress lz4', 'push "compress lz4"']);
        const client = await site.startClient(pair.client);
        await client.waitForLine(
          /OPTIONS ERROR: server pushed compression settings that are not allowed and will result in a non-working connection\. See also allow-compression in the manual\./,
          UP_TIMEOUT_MS,
        );
        await client.waitForLine(/SIGUSR1\[soft,process-push-msg-failed\]/);
        expect(client.countLines(UP)).toBe(0);
      }));

    test(`${who}: and with allow-compression asym it works`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const allow = pair.server === 'openvpn' ? ['allow-compression yes'] : [];
        await site.startServer(pair.server, ['compress lz4', 'push "compress lz4"', ...allow]);
        await site.connectClient(pair.client, 0, ['allow-compression asym']);
        await expectThrough(site);
      }));

    test(`${who}: compress migrate moves a client with comp-lzo to a stub`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer(pair.server, ['compress migrate']);
        const client = await site.connectClient(pair.client, 0, ['comp-lzo']);
        await expectThrough(site);
        await server.waitForExactly(/Note: 'compress migrate' detected remote peer with compression enabled\./, 1);
        expect(client.countLines(/PUSH_REPLY,.*compress stub-v2/)).toBe(1);
        for (const end of [server, client]) expect(end.countLines(/used inconsistently|present in/)).toBe(0);
      }));

    test(`${who}: other framings do not understand each other`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        await site.startServer(pair.server, ['comp-lzo no']);
        await site.connectClient(pair.client);
        expect(
          (await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.01, patienceMs: 2000 })).received,
        ).toBe(0);
      }));
  }

  test('a file of client-config-dir sets one client apart', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls, { clients: 2 });
      writeFileSync(`${lab.directory}/client1`, 'comp-lzo no\npush "comp-lzo no"\n');
      await site.startServer('openvpnd', [`client-config-dir ${lab.directory}`]);
      await site.connectClient('openvpn', 0);
      await site.connectClient('openvpn', 1);
      for (const place of site.clientPlaces) {
        expect(await pingSizes(place, ['10.8.0.1'], [56])).toEqual([]);
      }
    }));
});
