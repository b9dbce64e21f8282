import { Lab, labReady, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, pingSizes, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

const FORMATS: readonly { cipher: string; auth: string }[] = [
  { cipher: 'AES-256-CBC', auth: 'SHA1' },
  { cipher: 'AES-128-CBC', auth: 'SHA256' },
  { cipher: 'aes-256-cbc', auth: 'BLAKE2b512' },
  { cipher: 'AES-256-CBC', auth: 'none' },
  { cipher: 'none', auth: 'SHA256' },
  { cipher: 'none', auth: 'none' },
];

const NO_CIPHER = /\*\*\*\*\*\*\* WARNING \*\*\*\*\*\*\*: '--cipher none' was specified\./;
const NO_AUTH = /\*\*\*\*\*\*\* WARNING \*\*\*\*\*\*\*: '--auth none' was specified\./;

describe.skipIf(!ready)('data channels of before AEAD', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  for (const pair of PAIRS) {
    const who = `server ${pair.server}, client ${pair.client}`;
    for (const { cipher, auth } of FORMATS) {
      test(`${who}: ${cipher} with ${auth}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls, { ciphers: [cipher] });
          const server = await site.startServer(pair.server, [`auth ${auth}`]);
          const client = await site.connectClient(pair.client, 0, [`auth ${auth}`]);
          const [place] = site.clientPlaces;
          expect(await pingSizes(place, ['10.8.0.1'], [56, 1400, 1401, 4000])).toEqual([]);
          for (const end of [server, client]) {
            await end.waitForLine(
              new RegExp(
                `Data Channel: cipher '${cipher === 'none' ? '\\[null-cipher\\]' : cipher}', auth '${auth === 'none' ? '\\[null-digest\\]' : auth}', peer-id: 0`,
                'i',
              ),
            );
            for (const [warning, chosen] of [
              [NO_CIPHER, cipher],
              [NO_AUTH, auth],
            ] as const) {
              if (chosen === 'none') await end.waitForLine(warning);
              else expect(end.countLines(warning)).toBe(0);
            }
            expect(end.countLines(/used inconsistently|present in (local|remote) config/)).toBe(0);
          }
        }));
    }

    test(`${who}: other digests do not understand each other, and nothing gets through`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls, { ciphers: ['AES-256-CBC'] });
        const server = await site.startServer(pair.server, ['auth SHA256']);
        const client = await site.connectClient(pair.client, 0, ['auth SHA1']);
        expect(
          (await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.01, patienceMs: 2000 })).received,
        ).toBe(0);
        await server.waitForLine(/Authenticate\/Decrypt packet error: packet HMAC authentication failed/);
        const ours = pair.server === 'openvpnd' ? server : client;
        await ours.waitForLine(/WARNING: 'auth' is used inconsistently, local='auth SHA\d+', remote='auth SHA\d+'/);
      }));

    test(`${who}: no cipher in common`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const server = await site.startServer(pair.server, ['data-ciphers AES-256-CBC']);
        const client = await site.startClient(pair.client, 0, ['data-ciphers AES-256-GCM']);
        await client.waitForLine(/AUTH_FAILED,Data channel cipher negotiation failed \(no shared cipher\)/);
        await server.waitForLine(/No common cipher between server and client/);
      }));

    test(`${who}: a client that sends P_DATA_V1`, () =>
      Lab.use(async (lab) => {
        for (const cipher of ['AES-256-GCM', 'AES-256-CBC']) {
          const site = await Site.create(lab, tls, { ciphers: [cipher] });
          await site.startServer(pair.server);
          const client = await site.connectClient(pair.client, 0, ['pull-filter ignore "peer-id"']);
          expect(await pingSizes(site.clientPlaces[0], ['10.8.0.1'], [56, 1000])).toEqual([]);
          expect(client.countLines(/peer-id: 0/)).toBe(0);
        }
      }));
  }

  /** The server speaks no NCP as far as the client can see. */
  async function withoutPushedCipher(
    lab: Lab,
    pair: { server: Program; client: Program },
    serverExtra: readonly string[],
    clientExtra: readonly string[],
  ): Promise<{ site: Site; client: RunningProcess }> {
    const site = await Site.create(lab, tls);
    await site.startServer(pair.server, serverExtra);
    const client = await site.startClient(pair.client, 0, ['pull-filter ignore "cipher"', ...clientExtra]);
    return { site, client };
  }

  // The stock client takes the other pushed results of the negotiation for a sign that a cipher was pushed: it can only fall back.
  const ours = PAIRS[0];

  test('without a pushed cipher the options string of the server decides', () =>
    Lab.use(async (lab) => {
      const { site, client } = await withoutPushedCipher(
        lab,
        ours,
        ['data-ciphers AES-256-CBC', 'cipher AES-256-CBC'],
        ['data-ciphers AES-256-GCM:AES-256-CBC'],
      );
      await client.waitForLine(UP, UP_TIMEOUT_MS);
      expect(await pingSizes(site.clientPlaces[0], ['10.8.0.1'], [56, 1000])).toEqual([]);
      await client.waitForExactly(/Data Channel: cipher 'AES-256-CBC'/, 1);
    }));

  test('a cipher of the options string that is not listed is refused', () =>
    Lab.use(async (lab) => {
      const { client } = await withoutPushedCipher(
        lab,
        ours,
        ['data-ciphers AES-256-CBC:AES-256-GCM', 'cipher AES-256-CBC'],
        ['data-ciphers AES-256-GCM'],
      );
      await client.waitForLine(
        /OPTIONS ERROR: failed to negotiate cipher with server. {2}Add the server's cipher \('AES-256-CBC'\) to --data-ciphers \(currently 'AES-256-GCM'\)/,
        UP_TIMEOUT_MS,
      );
    }));

  test('without either there is no connection', () =>
    Lab.use(async (lab) => {
      const own = ['data-ciphers AES-256-CBC'];
      const { client } = await withoutPushedCipher(lab, ours, own, own);
      await client.waitForLine(/OPTIONS ERROR: failed to negotiate cipher with server\. Configure/, UP_TIMEOUT_MS);
    }));

  for (const pair of PAIRS) {
    test(`server ${pair.server}, client ${pair.client}: but with data-ciphers-fallback there is one`, () =>
      Lab.use(async (lab) => {
        const fallback = ['data-ciphers AES-256-CBC', 'data-ciphers-fallback AES-256-CBC'];
        const { site, client } = await withoutPushedCipher(lab, pair, ['data-ciphers AES-256-CBC'], fallback);
        await client.waitForLine(UP, UP_TIMEOUT_MS);
        expect(await pingSizes(site.clientPlaces[0], ['10.8.0.1'], [56, 1000])).toEqual([]);
        await client.waitForExactly(/Data Channel: cipher 'AES-256-CBC'/, 1);
      }));
  }
});
