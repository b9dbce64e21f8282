import { Lab, labReady, tcpThroughput } from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, Site, TestPki } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

/** Formats that work packet by packet, where the device delivers super-packets. */
const FORMATS: readonly { title: string; lines: readonly string[]; cipher?: string; proto?: 'tcp4' }[] = [
  { title: 'CBC', lines: [], cipher: 'AES-256-CBC' },
  { title: 'no cipher', lines: ['auth none'], cipher: 'none' },
  { title: 'compression framing', lines: ['comp-lzo no'] },
  { title: 'swapping compression framing', lines: ['compress stub'] },
  { title: 'CBC in a framing in fragments', lines: ['comp-lzo no', 'fragment 700'], cipher: 'AES-128-CBC' },
  { title: 'TCP', lines: [], proto: 'tcp4' },
];

const CHOICES: readonly { choice: string; line: RegExp }[] = [
  { choice: '', line: /^.*data path: native, tso(\+uso)?, gso\/gro, aead (evp|libipsec-mb 1\.\d+\.\d+)$/ },
  { choice: 'no-tso', line: /^.*data path: native, no tso, gso\/gro, aead / },
  { choice: 'no-uso no-gro', line: /^.*data path: native, tso, gso, aead / },
  { choice: 'no-gso', line: /^.*data path: native, tso(\+uso)?, gro, aead / },
  { choice: 'no-tso no-gso no-gro evp', line: /^.*data path: native, no tso, no gso, aead evp$/ },
  { choice: 'no-flows', line: /^.*data path: native, tso(\+uso)?, gso\/gro, aead .*, no flows$/ },
];

/** A stream that loses packets in every burst needs longer for so much; any other a second at most, where the machine does not rest meanwhile. */
const LIVELY_BYTES = 8_000_000;
const LIVELY_SECONDS = 8;

describe.skipIf(!ready)('streams', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  /** Both directions, one after the other. */
  async function expectLively(site: Site): Promise<void> {
    const [place] = site.clientPlaces;
    const settings = { seconds: 0.5, bytes: LIVELY_BYTES };
    const up = await tcpThroughput(place, site.serverPlace, '10.8.0.1', settings);
    const down = await tcpThroughput(site.serverPlace, place, await site.tunnelAddress(0, 4), settings);
    expect(up.seconds).toBeLessThan(LIVELY_SECONDS);
    expect(down.seconds).toBeLessThan(LIVELY_SECONDS);
  }

  for (const pair of PAIRS) {
    for (const { title, lines, cipher, proto } of FORMATS) {
      test(`through ${title}: server ${pair.server}, client ${pair.client}`, () =>
        Lab.use(async (lab) => {
          const site = await Site.create(lab, tls, {
            ...(cipher === undefined ? {} : { ciphers: [cipher] }),
            ...(proto === undefined ? {} : { proto }),
          });
          await site.startServer(pair.server, lines);
          await site.connectClient(pair.client, 0, lines);
          await expectLively(site);
        }));
    }
  }

  for (const { choice, line } of CHOICES) {
    test(`with the data path ${JSON.stringify(choice)}`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, tls);
        const extra = [`setenv OPENVPND_DATA_PATH "${choice}"`];
        const ends = [await site.startServer('openvpnd', extra), await site.connectClient('openvpnd', 0, extra)];
        for (const end of ends) await end.waitForLine(line);
        await expectLively(site);
      }));
  }
});
