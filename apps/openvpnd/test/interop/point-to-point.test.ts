import {
  type IssuedCertificate,
  Lab,
  type LabNamespace,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  startPing,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline, stockKeyText } from './key-files.js';
import { type Program, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** Here `server` and `client` are the roles in TLS alone. */
const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
];

describe.skipIf(!ready)('point to point with TLS', () => {
  let tls: TestPki;
  let key: string;
  let identities: Record<'server' | 'client', IssuedCertificate>;
  beforeAll(async () => {
    tls = await TestPki.create();
    key = await stockKeyText('secret');
    identities = { server: tls.server, client: await tls.client('peer') };
  });

  /** Both ends in namespaces of their own, each knowing the other's address. */
  async function points(lab: Lab): Promise<{
    readonly places: readonly [LabNamespace, LabNamespace];
    start(role: 'server' | 'client', program: Program, extra?: readonly string[]): RunningProcess;
  }> {
    const places = [await lab.namespace('left'), await lab.namespace('right')] as const;
    const network = await lab.join(places);
    return {
      places,
      start(role, program, extra = []) {
        const [here, there, own, peer] =
          role === 'server'
            ? [places[0], places[1], '10.9.0.1', '10.9.0.2']
            : [places[1], places[0], '10.9.0.2', '10.9.0.1'];
        const { cert, key: privateKey } = identities[role];
        const config = [
          'dev tun',
          'proto udp4',
          `tls-${role}`,
          `remote ${network.addressesOf(there).ipv4}`,
          `ifconfig ${own} ${peer}`,
          `remote-cert-tls ${role === 'server' ? 'client' : 'server'}`,
          ...(role === 'server' ? ['dh none'] : []),
          inline('ca', tls.pki.ca),
          inline('cert', cert),
          inline('key', privateKey),
          'verb 3',
          ...extra,
        ];
        return startProgram(here, program, [
          '--config',
          writeConfig(lab.directory, `${role}.conf`, `${config.join('\n')}\n`),
        ]);
      },
    };
  }

  for (const { server, client } of PAIRS) {
    const who = `server ${server}, client ${client}`;

    for (const first of ['server', 'client'] as const) {
      test(`connects and renegotiates, the TLS ${first} begins: ${who}`, () =>
        Lab.use(async (lab) => {
          const { places, start } = await points(lab);
          const program = { server, client };
          const second = first === 'server' ? 'client' : 'server';
          const early = start(first, program[first], ['reneg-sec 3']);
          await early.waitForLine(/link remote: \[AF_INET\]/, UP_TIMEOUT_MS);
          const late = start(second, program[second], ['reneg-sec 0']);
          const ends = [early, late];
          for (const end of ends) await end.waitForLine(UP, UP_TIMEOUT_MS);
          for (const end of ends) await end.waitForLine(/Data Channel: cipher 'AES-256-GCM', peer-id: \d+/);
          const pings = startPing(places[1], '10.9.0.1', { interval: 0.02 });
          await early.waitForLine(/TLS: soft reset/);
          await late.waitForLine(/Control Channel: TLSv1\.3/, PATIENCE_MS, late.lines.length);
          await pings.reply();
          const { sent, received } = await pings.finish();
          // One may be on its way when ping is told to stop.
          expect(sent - received).toBeLessThanOrEqual(1);
          expect((await ping(places[0], '10.9.0.2', { count: 5, interval: 0.02 })).received).toBeGreaterThan(0);
          // Both agree on every option that each tells the other.
          for (const end of ends) expect(end.countLines(/is used inconsistently|is present in/)).toBe(0);
        }));
    }

    test(`with tls-crypt, and a cipher of the TLS server's choice: ${who}`, () =>
      Lab.use(async (lab) => {
        const { places, start } = await points(lab);
        const ends = [
          start('server', server, [inline('tls-crypt', key), 'data-ciphers CHACHA20-POLY1305:AES-128-GCM']),
          start('client', client, [inline('tls-crypt', key), 'data-ciphers AES-128-GCM:CHACHA20-POLY1305']),
        ];
        for (const end of ends) await end.waitForLine(UP, UP_TIMEOUT_MS);
        for (const end of ends) await end.waitForLine(/Data Channel: cipher 'CHACHA20-POLY1305'/);
        expect((await ping(places[1], '10.9.0.1', { count: 5, interval: 0.02 })).received).toBe(5);
      }));

    test(`without a cipher in common there is no tunnel: ${who}`, () =>
      Lab.use(async (lab) => {
        const { start } = await points(lab);
        const serverEnd = start('server', server, ['data-ciphers AES-256-GCM']);
        const clientEnd = start('client', client, ['data-ciphers AES-128-GCM']);
        const [ours, stock] = server === 'openvpnd' ? [serverEnd, clientEnd] : [clientEnd, serverEnd];
        await ours.waitForLine(/No common cipher between server and client/, UP_TIMEOUT_MS);
        expect(stock.countLines(UP)).toBe(0);
        expect(ours.countLines(UP)).toBe(0);
      }));
  }
});
