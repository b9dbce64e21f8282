import {
  type IssuedCertificate,
  Lab,
  type LabAddresses,
  type LabNamespace,
  labReady,
  ping,
  type RunningProcess,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline } from './key-files.js';
import { type Program, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

type Role = 'server' | 'client';

/** Both ends in namespaces of their own, and who they are in TLS. */
class Points {
  readonly places: Readonly<Record<Role, LabNamespace>>;
  readonly addresses: Readonly<Record<Role, LabAddresses>>;
  readonly #lab: Lab;
  readonly #ca: string;
  readonly #identities: Readonly<Record<Role, IssuedCertificate>>;

  private constructor(
    lab: Lab,
    tls: TestPki,
    peer: IssuedCertificate,
    places: Points['places'],
    at: Points['addresses'],
  ) {
    this.#lab = lab;
    this.#ca = tls.pki.ca;
    this.#identities = { server: tls.server, client: peer };
    this.places = places;
    this.addresses = at;
  }

  static async create(lab: Lab, tls: TestPki, peer: IssuedCertificate): Promise<Points> {
    const places = { server: await lab.namespace('left'), client: await lab.namespace('right') };
    const network = await lab.join([places.server, places.client]);
    const at = { server: network.addressesOf(places.server), client: network.addressesOf(places.client) };
    return new Points(lab, tls, peer, places, at);
  }

  start(role: Role, program: Program, extra: readonly string[]): RunningProcess {
    const [own, peer] = role === 'server' ? ['10.9.0.1', '10.9.0.2'] : ['10.9.0.2', '10.9.0.1'];
    const { cert, key } = this.#identities[role];
    const config = [
      'dev tun',
      `tls-${role}`,
      `ifconfig ${own} ${peer}`,
      `remote-cert-tls ${role === 'server' ? 'client' : 'server'}`,
      ...(role === 'server' ? ['dh none'] : []),
      inline('ca', this.#ca),
      inline('cert', cert),
      inline('key', key),
      'verb 3',
      ...extra,
    ];
    const file = writeConfig(this.#lab.directory, `${role}.conf`, `${config.join('\n')}\n`);
    return startProgram(this.places[role], program, ['--config', file]);
  }

  /** Both say that they are up, and packets pass both ways. */
  async expectTunnel(ends: readonly RunningProcess[]): Promise<void> {
    for (const end of ends) await end.waitForLine(UP, UP_TIMEOUT_MS);
    for (const [place, target] of [
      [this.places.client, '10.9.0.1'],
      [this.places.server, '10.9.0.2'],
    ] as const) {
      expect((await ping(place, target, { count: 5, interval: 0.1 })).received).toBe(5);
    }
  }
}

const LISTENING = /link remote: \[AF_UNSPEC\]|Listening for incoming TCP connection/;

describe.skipIf(!ready)('sockets of two points', () => {
  let tls: TestPki;
  let peer: IssuedCertificate;
  beforeAll(async () => {
    tls = await TestPki.create();
    peer = await tls.client('peer');
  });

  /** The one who waits, the other, and the TLS role of the first. */
  const meetings = (['server', 'client'] as const).flatMap((role) =>
    (
      [
        ['openvpnd', 'openvpn'],
        ['openvpn', 'openvpnd'],
        ['openvpnd', 'openvpnd'],
      ] as const
    ).map(([waiting, calling]) => ({ role, waiting, calling })),
  );

  for (const { role, waiting, calling } of meetings) {
    const other = role === 'server' ? 'client' : 'server';
    const who = `${waiting} waits as the TLS ${role}, ${calling} calls`;

    for (const family of [4, 6] as const) {
      test(`UDP over IPv${family} without --remote at one end: ${who}`, () =>
        Lab.use(async (lab) => {
          const points = await Points.create(lab, tls, peer);
          // Without a suffix the stock program would listen on one family, of the resolver's choice.
          const proto = waiting === 'openvpn' ? `proto udp${family}` : 'proto udp';
          const early = points.start(role, waiting, [proto]);
          await early.waitForLine(LISTENING, UP_TIMEOUT_MS);
          const at = points.addresses[role];
          const late = points.start(other, calling, [
            `remote ${family === 6 ? at.ipv6 : at.ipv4}`,
            'proto udp',
            'nobind',
          ]);
          await points.expectTunnel([early, late]);
          for (const end of [early, late]) expect(end.countLines(/is used inconsistently/)).toBe(0);
        }));
    }

    for (const family of role === 'server' ? ([4, 6] as const) : ([4] as const)) {
      test(`TCP over IPv${family}: ${who}`, () =>
        Lab.use(async (lab) => {
          const points = await Points.create(lab, tls, peer);
          const proto = waiting === 'openvpn' ? `proto tcp${family}-server` : 'proto tcp-server';
          const early = points.start(role, waiting, [proto]);
          await early.waitForLine(LISTENING, UP_TIMEOUT_MS);
          const at = points.addresses[role];
          const late = points.start(other, calling, [`remote ${family === 6 ? at.ipv6 : at.ipv4}`, 'proto tcp-client']);
          await points.expectTunnel([early, late]);
          for (const end of [early, late]) expect(end.countLines(/is used inconsistently/)).toBe(0);
          // The one who waits takes its peer again after it has gone.
          late.signal('SIGTERM');
          await late.waitForEnd(10_000);
          const again = points.start(other, calling, [
            `remote ${family === 6 ? at.ipv6 : at.ipv4}`,
            'proto tcp-client',
          ]);
          await again.waitForLine(UP, UP_TIMEOUT_MS);
        }));
    }
  }
});
