import {
  type IssuedCertificate,
  Lab,
  type LabAddresses,
  type LabNamespace,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { inline } from './key-files.js';
import { type Program, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** A hardware address that nobody has. */
const NOBODY = '02:00:00:00:00:99';

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

  /** What one end sends to that address of the other reaches nobody from now on. */
  async blackhole(from: Role, address: string): Promise<void> {
    const { device } = this.addresses[from];
    await this.places[from].ip('neighbor', 'replace', address, 'lladdr', NOBODY, 'nud', 'permanent', 'dev', device);
  }

  /** Each end knows the other by a name with both of its addresses, IPv6 first. */
  nameBoth(): void {
    for (const [role, other] of [
      ['server', 'client'],
      ['client', 'server'],
    ] as const) {
      this.places[role].setHosts({ 'peer.test': [this.addresses[other].ipv6, this.addresses[other].ipv4] });
    }
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
      test.concurrent(`UDP over IPv${family} without --remote at one end: ${who}`, () =>
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
      test.concurrent(`TCP over IPv${family}: ${who}`, () =>
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
          await late.waitForEnd();
          const again = points.start(other, calling, [
            `remote ${family === 6 ? at.ipv6 : at.ipv4}`,
            'proto tcp-client',
          ]);
          await again.waitForLine(UP, UP_TIMEOUT_MS);
        }));
    }
  }

  describe('seed: "Both peer bind on all sockets but iterate through the socket when trying to connect"', () => {
    const use = (body: (points: Points) => Promise<void>): Promise<void> =>
      Lab.use(async (lab) => body(await Points.create(lab, tls, peer)));

    test('each end has a socket of each family, on its own port', () =>
      use(async (points) => {
        points.nameBoth();
        const ends = (['server', 'client'] as const).map((role) =>
          points.start(role, 'openvpnd', ['remote peer.test']),
        );
        await points.expectTunnel(ends);
        for (const role of ['server', 'client'] as const) {
          for (const family of ['-4', '-6']) {
            const { stdout } = await points.places[role].run(
              'ss',
              ['-Hnau', family, 'sport', '=', ':1194'],
              PATIENCE_MS,
            );
            expect(stdout.trim().split('\n')).toHaveLength(1);
            expect(stdout).toContain(':1194');
          }
        }
      }));

    for (const direction of ['both ways', 'one way'] as const) {
      test(`IPv6 is dead ${direction}: the two meet on IPv4 after 2 s`, () =>
        use(async (points) => {
          points.nameBoth();
          await points.blackhole('client', points.addresses.server.ipv6);
          if (direction === 'both ways') await points.blackhole('server', points.addresses.client.ipv6);
          const begun = performance.now();
          const ends = (['server', 'client'] as const).map((role) =>
            points.start(role, 'openvpnd', ['remote peer.test']),
          );
          await points.expectTunnel(ends);
          process.stdout.write(
            `two points, IPv6 dead ${direction}: ${((performance.now() - begun) / 1000).toFixed(2)} s\n`,
          );
          for (const end of ends) expect(end.countLines(/SIGUSR1/)).toBe(0);
        }));
    }

    for (const role of ['server', 'client'] as const) {
      const other = role === 'server' ? 'client' : 'server';
      test(`the stock program as the TLS ${role} listens on IPv4 alone: it is found there`, () =>
        use(async (points) => {
          points.nameBoth();
          const stock = points.start(role, 'openvpn', ['proto udp4']);
          await stock.waitForLine(LISTENING, UP_TIMEOUT_MS);
          const ours = points.start(other, 'openvpnd', ['remote peer.test']);
          await points.expectTunnel([stock, ours]);
        }));

      test(`the stock program as the TLS ${role} calls over IPv4, while we have sent to IPv6`, () =>
        use(async (points) => {
          points.nameBoth();
          const ours = points.start(other, 'openvpnd', ['remote peer.test', 'connect-race 60000']);
          await ours.waitForLine(/UDPv4 link remote/, UP_TIMEOUT_MS);
          const stock = points.start(role, 'openvpn', [`remote ${points.addresses[other].ipv4}`, 'proto udp4']);
          await points.expectTunnel([stock, ours]);
        }));
    }
  });

  test('seed: "explicit binding on a single IPv4 or IPv6 address for each side": one socket, no other family', () =>
    Lab.use(async (lab) => {
      const points = await Points.create(lab, tls, peer);
      points.nameBoth();
      const server = points.start('server', 'openvpnd', ['remote peer.test', `local ${points.addresses.server.ipv4}`]);
      const client = points.start('client', 'openvpnd', ['remote peer.test', 'proto udp4']);
      await points.expectTunnel([server, client]);
      for (const role of ['server', 'client'] as const) {
        const { stdout } = await points.places[role].run('ss', ['-Hnau', '-6'], PATIENCE_MS);
        expect(stdout.trim()).toBe('');
      }
      expect(server.countLines(/WARNING: --local is IPv4 only; ignoring 1 IPv6 address/)).toBe(1);
    }));

  for (const server of ['openvpnd', 'openvpn'] as const) {
    test(`seed: "introduce udp-server and udp-client": with ${server} at the other end`, () =>
      Lab.use(async (lab) => {
        const points = await Points.create(lab, tls, peer);
        const at = points.addresses.server.ipv4;
        const waiting = points.start('server', server, [server === 'openvpnd' ? 'proto udp-server' : 'proto udp4']);
        await waiting.waitForLine(LISTENING, UP_TIMEOUT_MS);
        const calling = points.start('client', 'openvpnd', ['proto udp-client', `remote ${at}`]);
        await points.expectTunnel([waiting, calling]);
        expect(calling.countLines(/link local: \(not bound\)/)).toBe(1);
        // Both call it UDPv4 to each other, as ever.
        for (const end of [waiting, calling]) expect(end.countLines(/is used inconsistently/)).toBe(0);
      }));
  }

  test('persist-remote-ip: who waits keeps to its peer over a restart, and would take another one without', () =>
    Lab.use(async (lab) => {
      const points = await Points.create(lab, tls, peer);
      for (const persist of [true, false]) {
        const waiting = points.start('server', 'openvpnd', persist ? ['persist-remote-ip'] : []);
        await waiting.waitForLine(LISTENING, UP_TIMEOUT_MS);
        const at = points.addresses.server.ipv4;
        const calling = points.start('client', 'openvpn', [`remote ${at}`, 'lport 4567', 'proto udp4']);
        await points.expectTunnel([waiting, calling]);
        const from = waiting.lines.length;
        waiting.signal('SIGUSR1');
        const where = persist ? String.raw`\[AF_INET\]${points.addresses.client.ipv4}:4567` : String.raw`\[AF_UNSPEC\]`;
        await waiting.waitForLine(new RegExp(`link remote: ${where}`), UP_TIMEOUT_MS, from);
        calling.signal('SIGUSR1');
        await waiting.waitForLine(UP, UP_TIMEOUT_MS, from);
        for (const end of [waiting, calling]) {
          end.signal('SIGTERM');
          await end.waitForEnd();
        }
      }
    }));

  test('who waits locks to the first authenticated peer: another one with a good certificate stays outside', () =>
    Lab.use(async (lab) => {
      const points = await Points.create(lab, tls, peer);
      const waiting = points.start('server', 'openvpnd', []);
      await waiting.waitForLine(LISTENING, UP_TIMEOUT_MS);
      const at = points.addresses.server.ipv4;
      const first = points.start('client', 'openvpn', [`remote ${at}`, 'nobind', 'proto udp4']);
      await points.expectTunnel([waiting, first]);
      const second = startProgram(points.places.client, 'openvpn', [
        ...['--config', `${lab.directory}/client.conf`, '--dev-type', 'tun', '--dev', 'tun9'],
        ...['--ifconfig', '10.9.9.2', '10.9.9.1', '--hand-window', '4'],
      ]);
      await second.waitForLine(/TLS handshake failed/);
      expect(second.countLines(UP)).toBe(0);
      expect((await ping(points.places.client, '10.9.0.1', { count: 5, interval: 0.1 })).received).toBe(5);
      expect(waiting.countLines(/SIGUSR1/)).toBe(0);
    }));
});
