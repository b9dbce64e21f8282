import { Lab, labReady, PATIENCE_MS, ping, type RunningProcess } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline, stockKeyText, writeKey } from './key-files.js';
import { type Program, Site, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

/** Lines of the two ends that go together. `KEY` is one key file, `OTHER` another. */
interface Case {
  readonly what: string;
  readonly server: readonly string[];
  readonly client: readonly string[];
  /** Goes on to a renegotiation: dynamic tls-crypt, mixed with the key file. */
  readonly renegotiate?: boolean;
}

let keyText = '';

const MODES: readonly Case[] = [
  { what: 'tls-auth without direction', server: ['tls-auth KEY'], client: ['tls-auth KEY'] },
  {
    what: 'tls-auth 0 and 1, SHA256',
    renegotiate: true,
    server: ['tls-auth KEY 0', 'auth SHA256'],
    client: ['tls-auth KEY 1', 'auth SHA256'],
  },
  {
    what: 'tls-auth inline, key-direction 1 and 0, SHA512',
    server: ['INLINE tls-auth', 'key-direction 1', 'auth SHA512'],
    client: ['INLINE tls-auth', 'key-direction 0', 'auth SHA512'],
  },
  { what: 'tls-crypt', renegotiate: true, server: ['tls-crypt KEY'], client: ['tls-crypt KEY'] },
  { what: 'tls-crypt inline', server: ['INLINE tls-crypt'], client: ['INLINE tls-crypt'] },
];

/** What the two ends print when they do not fit together; `at` says whose line it is. */
const MISFITS: readonly (Case & { readonly line: RegExp })[] = [
  {
    what: 'tls-auth with another key',
    server: ['tls-auth KEY'],
    client: ['tls-auth OTHER'],
    line: /TLS Error: incoming packet authentication failed from \[AF_INET\]/,
  },
  {
    what: 'tls-auth with the same direction at both ends',
    server: ['tls-auth KEY 0'],
    client: ['tls-auth KEY 0'],
    line: /packet HMAC authentication failed/,
  },
  {
    what: 'tls-auth with another digest',
    server: ['tls-auth KEY', 'auth SHA256'],
    client: ['tls-auth KEY'],
    line: /TLS Error: incoming packet authentication failed from \[AF_INET\]|cannot locate HMAC in incoming packet/,
  },
  {
    what: 'tls-auth at the server alone',
    server: ['tls-auth KEY'],
    client: [],
    line: /TLS Error: cannot locate HMAC in incoming packet from \[AF_INET\]/,
  },
  {
    what: 'tls-crypt with another key',
    server: ['tls-crypt KEY'],
    client: ['tls-crypt OTHER'],
    line: /TLS Error: tls-crypt unwrapping failed from \[AF_INET\]/,
  },
  {
    what: 'tls-crypt at the server alone',
    server: ['tls-crypt KEY'],
    client: [],
    line: /tls-crypt unwrap error: packet too short/,
  },
];

describe.skipIf(!ready)('control channel wrapping', () => {
  let tls: TestPki;
  let otherText: string;
  beforeAll(async () => {
    tls = await TestPki.create();
    [keyText, otherText] = await Promise.all([stockKeyText('secret'), stockKeyText('tls-auth')]);
  });

  async function siteWithKeys(lab: Lab): Promise<Site> {
    writeKey(lab.directory, 'one.key', keyText);
    writeKey(lab.directory, 'other.key', otherText);
    return Site.create(lab, tls);
  }

  function lines(some: readonly string[]): string[] {
    return some.map((line) =>
      line.startsWith('INLINE ')
        ? inline(line.slice('INLINE '.length), keyText)
        : line.replace('KEY', 'one.key').replace('OTHER', 'other.key'),
    );
  }

  for (const { server, client } of PAIRS) {
    for (const mode of MODES) {
      test(`${mode.what}: server ${server}, client ${client}`, () =>
        Lab.use(async (lab) => {
          const site = await siteWithKeys(lab);
          const serverEnd = await site.startServer(server, lines(mode.server));
          const clientEnd = await site.connectClient(client, 0, [
            ...lines(mode.client),
            ...(mode.renegotiate ? ['reneg-sec 2'] : []),
          ]);
          if (mode.renegotiate) {
            await clientEnd.waitForLine(/TLS: soft reset sec=/);
            await clientEnd.waitForLine(/Control Channel: TLSv1\.3/, PATIENCE_MS, clientEnd.lines.length);
          }
          expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
          for (const end of [serverEnd, clientEnd])
            expect(end.countLines(/TLS Error|unwrap error|packet error/)).toBe(0);
        }));
    }

    test(`a server refuses what does not fit: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithKeys(lab);
        for (const misfit of MISFITS) {
          const serverEnd = await site.startServer(server, lines(misfit.server));
          const clientEnd = await site.startClient(client, 0, lines(misfit.client));
          await serverEnd.waitForLine(misfit.line, UP_TIMEOUT_MS);
          expect(serverEnd.countLines(/Peer Connection Initiated|Control Channel: TLS/)).toBe(0);
          expect(clientEnd.countLines(UP)).toBe(0);
          await stopAll(serverEnd, clientEnd);
        }
      }));

    test(`each connection has its own key: server ${server}, client ${client}`, () =>
      Lab.use(async (lab) => {
        const site = await siteWithKeys(lab);
        await site.startServer(server, ['tls-crypt one.key', 'port 1195']);
        const address = site.serverAddresses.ipv4;
        const blocks = [
          // The first one has the wrong key, the second the right one inline, which the global one does not touch.
          inline('connection', `remote ${address} 1195 udp4\nconnect-timeout 1\ntls-auth other.key`),
          inline('connection', `remote ${address} 1195 udp4\n${inline('tls-crypt', keyText)}`),
          'tls-crypt other.key',
          'connect-retry 1 1',
        ];
        const clientEnd = await site.startClient(client, 0, blocks);
        await clientEnd.waitForLine(UP, UP_TIMEOUT_MS);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3, interval: 0.02 })).received).toBe(3);
      }));
  }

  // Ours does not answer at all: what follows the session id is no list of acknowledgements.
  test('a client with tls-auth refuses a server without: server openvpn, client openvpnd', () =>
    Lab.use(async (lab) => {
      const site = await siteWithKeys(lab);
      await site.startServer('openvpn');
      const clientEnd = await site.startClient('openvpnd', 0, ['tls-auth one.key']);
      await clientEnd.waitForLine(/TLS Error: cannot locate HMAC in incoming packet from \[AF_INET\]/, UP_TIMEOUT_MS);
      expect(clientEnd.countLines(UP)).toBe(0);
    }));
});

async function stopAll(...ends: readonly RunningProcess[]): Promise<void> {
  await Promise.all(ends.map((end) => end.stop()));
}
