import {
  Lab,
  type LabAddresses,
  type LabNamespace,
  labReady,
  ping,
  type RunningProcess,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline, stockKeyText, writeKey } from './key-files.js';
import { type Program, startProgram, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** Who waits for the other, and who calls. */
type Role = 'waiting' | 'calling';

const PAIRS: readonly Record<Role, Program>[] = [
  { waiting: 'openvpn', calling: 'openvpnd' },
  { waiting: 'openvpnd', calling: 'openvpn' },
  { waiting: 'openvpnd', calling: 'openvpnd' },
];

const INNER = { waiting: '10.9.0.1', calling: '10.9.0.2' } as const;
const CBC = ['cipher AES-256-CBC'];

/** Two points with the same key. */
class Points {
  readonly places: Readonly<Record<Role, LabNamespace>>;
  readonly addresses: Readonly<Record<Role, LabAddresses>>;
  readonly #lab: Lab;

  private constructor(lab: Lab, places: Points['places'], addresses: Points['addresses']) {
    this.#lab = lab;
    this.places = places;
    this.addresses = addresses;
  }

  static async create(lab: Lab, key: string): Promise<Points> {
    const places = { waiting: await lab.namespace('left'), calling: await lab.namespace('right') };
    const network = await lab.join([places.waiting, places.calling]);
    writeKey(lab.directory, 'static.key', key);
    return new Points(lab, places, {
      waiting: network.addressesOf(places.waiting),
      calling: network.addressesOf(places.calling),
    });
  }

  /** An end is up once it has heard the other one, and nobody says anything of himself but pings. */
  start(role: Role, program: Program, extra: readonly string[], family: 4 | 6 = 4): RunningProcess {
    const { ipv4, ipv6 } = this.addresses.waiting;
    const calls = [`remote ${family === 6 ? ipv6 : ipv4}`, 'ping-restart 60'];
    const other = role === 'waiting' ? 'calling' : 'waiting';
    const config = [
      'dev tun',
      `ifconfig ${INNER[role]} ${INNER[other]}`,
      'verb 4',
      'ping 1',
      ...(role === 'calling' ? calls : []),
      ...extra,
    ];
    const file = writeConfig(this.#lab.directory, `${role}.conf`, `${config.join('\n')}\n`);
    return startProgram(this.places[role], program, ['--config', file]);
  }

  async expectTunnel(ends: readonly RunningProcess[], size = 1400): Promise<void> {
    for (const end of ends) await end.waitForLine(UP, UP_TIMEOUT_MS);
    for (const role of ['waiting', 'calling'] as const) {
      const target = INNER[role === 'waiting' ? 'calling' : 'waiting'];
      expect((await ping(this.places[role], target, { count: 5, interval: 0.1, size })).received).toBe(5);
    }
  }
}

/** Options of both ends, and what each adds. */
interface Form {
  readonly name: string;
  readonly both: readonly string[];
  readonly waiting: readonly string[];
  readonly calling: readonly string[];
  readonly line?: RegExp;
}

const FORMS: readonly Form[] = [
  {
    name: 'AES-256-CBC, one half of the key',
    both: CBC,
    waiting: ['secret static.key'],
    calling: ['secret static.key'],
  },
  {
    name: 'AES-128-CBC with SHA512, halves by the direction',
    both: ['cipher AES-128-CBC', 'auth SHA512'],
    waiting: ['secret static.key 0'],
    calling: ['secret static.key 1'],
    line: /Data Channel: cipher 'AES-128-CBC', auth 'SHA512'/,
  },
  {
    name: 'no cipher, but a digest',
    both: ['cipher none', 'auth SHA256', 'secret static.key'],
    waiting: ['key-direction 1'],
    calling: ['key-direction 0'],
    line: /'--cipher none' was specified/,
  },
  {
    name: 'no digest',
    both: [...CBC, 'auth none', 'secret static.key'],
    waiting: [],
    calling: [],
    line: /'--auth none' was specified/,
  },
  {
    name: 'fragments and a mark of compression',
    both: [...CBC, 'secret static.key', 'fragment 600', 'comp-lzo no'],
    waiting: [],
    calling: [],
  },
];

describe.skipIf(!ready).concurrent('static key', () => {
  let key: string;
  beforeAll(async () => {
    key = await stockKeyText('secret');
  });

  for (const pair of PAIRS) {
    const who = `${pair.waiting} waits, ${pair.calling} calls`;

    const isStock = Object.values(pair).includes('openvpn');
    for (const { name, both, waiting, calling, line } of isStock ? FORMS : FORMS.slice(0, 1)) {
      test(`${name}: ${who}`, () =>
        Lab.use(async (lab) => {
          const points = await Points.create(lab, key);
          const ends = [
            points.start('waiting', pair.waiting, ['proto udp4', ...both, ...waiting]),
            points.start('calling', pair.calling, ['proto udp4', ...both, ...calling]),
          ];
          await points.expectTunnel(ends);
          for (const end of ends) {
            expect(end.countLines(/DEPRECATED OPTION: The option --secret is deprecated/)).toBe(1);
            if (line !== undefined) await end.waitForLine(line);
          }
        }));
    }

    test(`over IPv6, with an inline key: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const extra = ['proto udp6', ...CBC, inline('secret', key)];
        await points.expectTunnel([
          points.start('waiting', pair.waiting, extra),
          points.start('calling', pair.calling, extra, 6),
        ]);
      }));

    test(`over TCP, and again after the one who called has gone: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const extra = [...CBC, 'secret static.key'];
        const waiting = points.start('waiting', pair.waiting, ['proto tcp4-server', ...extra]);
        await waiting.waitForLine(/Listening for incoming TCP connection/, UP_TIMEOUT_MS);
        const calling = points.start('calling', pair.calling, ['proto tcp4-client', ...extra]);
        await points.expectTunnel([waiting, calling]);
        calling.signal('SIGTERM');
        await calling.waitForEnd();
        await waiting.waitForLine(/SIGUSR1\[soft,connection-reset\]/);
        const from = waiting.lines.length;
        const again = points.start('calling', pair.calling, ['proto tcp4-client', ...extra]);
        await again.waitForLine(UP, UP_TIMEOUT_MS);
        await waiting.waitForLine(UP, UP_TIMEOUT_MS, from);
      }));

    test(`a peer that was killed comes back, its packet ids with it: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const extra = ['proto udp4', ...CBC, 'secret static.key'];
        const waiting = points.start('waiting', pair.waiting, extra);
        const calling = points.start('calling', pair.calling, extra);
        await points.expectTunnel([waiting, calling]);
        calling.signal('SIGKILL');
        await calling.waitForEnd();
        // Its ids begin with the time: within one second nobody could tell them from repeated ones.
        await ping(points.places.waiting, INNER.waiting, { count: 2, interval: 1.1 });
        await points.expectTunnel([points.start('calling', pair.calling, extra)]);
        expect(waiting.countLines(/bad packet ID/)).toBe(0);
      }));

    test(`says goodbye with --explicit-exit-notify: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const extra = ['proto udp4', ...CBC, 'secret static.key'];
        const waiting = points.start('waiting', pair.waiting, extra);
        const calling = points.start('calling', pair.calling, [...extra, 'explicit-exit-notify 1']);
        await points.expectTunnel([waiting, calling]);
        calling.signal('SIGTERM');
        await waiting.waitForLine(/SIGUSR1\[soft,remote-exit\]/);
        expect((await calling.waitForEnd()).status).toBe(0);
      }));

    test(`each end asks for the other's options, and tells what differs: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const extra = ['proto udp4', ...CBC];
        const ends = [
          points.start('waiting', pair.waiting, [...extra, 'secret static.key 0']),
          points.start('calling', pair.calling, [...extra, 'secret static.key 1', 'tun-mtu 1400']),
        ];
        for (const end of ends) await end.waitForLine(UP, UP_TIMEOUT_MS);
        // The stock program tells it with more verbosity only.
        for (const end of ends.filter((_, index) => Object.values(pair)[index] === 'openvpnd')) {
          await end.waitForLine(/WARNING: 'tun-mtu' is used inconsistently, local='tun-mtu 1[45]00'/, 30_000);
          await end.waitForLine(/WARNING: 'link-mtu' is used inconsistently/);
          await end.waitForExactly(/is used inconsistently|is present in/, 2);
        }
      }));

    test(`with another key there is no tunnel: ${who}`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const other = await stockKeyText('secret');
        const extra = ['proto udp4', ...CBC];
        const waiting = points.start('waiting', pair.waiting, [...extra, 'secret static.key']);
        points.start('calling', pair.calling, [...extra, inline('secret', other)]);
        await waiting.waitForLine(/packet HMAC authentication failed/, UP_TIMEOUT_MS);
        expect(waiting.countLines(UP)).toBe(0);
      }));
  }

  for (const program of ['openvpn', 'openvpnd'] as const) {
    test.each([
      ['an AEAD cipher', ['cipher AES-256-GCM'], /Cipher 'AES-256-GCM' mode not supported/],
      ['no cipher named', [], /Cipher BF-CBC not supported/],
      ['certificates', [...CBC, 'ca static.key'], /Options error: Parameter ca_file can only be specified in TLS-mode/],
      ['a key that is none', [...CBC, inline('secret', 'abc')], /./],
    ])(`${program} refuses %s`, (_name, extra, line) =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, key);
        const end = points.start('calling', program, ['proto udp4', 'secret static.key', ...extra]);
        expect((await end.waitForEnd(UP_TIMEOUT_MS)).status).toBe(1);
        expect(end.countLines(line)).toBeGreaterThan(0);
        expect(end.countLines(UP)).toBe(0);
      }),
    );
  }

  test('openvpnd knows the option without which OpenVPN 2.7 refuses', () =>
    Lab.use(async (lab) => {
      const points = await Points.create(lab, key);
      const extra = ['proto udp4', ...CBC, 'secret static.key'];
      const waiting = points.start('waiting', 'openvpnd', [...extra, 'allow-deprecated-insecure-static-crypto']);
      await points.expectTunnel([waiting, points.start('calling', 'openvpn', extra)]);
      expect(waiting.countLines(/^DEPRECATION: /)).toBe(0);
    }));
});
