import {
  clientConfig,
  type IssuedCertificate,
  Lab,
  type LabAddresses,
  type LabNamespace,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  serverConfig,
  writeConfig,
} from '@openvpnd/testkit/node';
import { beforeAll, describe, expect, test } from 'vitest';
import { type Program, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** An interface address that belongs to nobody: packets to it are heard by no one. */
const NOBODY = '02:00:00:00:00:99';

const PAIRS: readonly { server: Program; client: Program }[] = [
  { server: 'openvpn', client: 'openvpnd' },
  { server: 'openvpnd', client: 'openvpn' },
  { server: 'openvpnd', client: 'openvpnd' },
];

/** Two servers and a client on one switch. */
class Failover {
  readonly client: LabNamespace;
  readonly servers: readonly [LabNamespace, LabNamespace];
  readonly ipv4: readonly [string, string];
  readonly ipv6: readonly [string, string];
  readonly own: LabAddresses;
  readonly #lab: Lab;
  readonly #tls: TestPki;
  readonly #identity: IssuedCertificate;

  private constructor(lab: Lab, tls: TestPki, identity: IssuedCertificate, parts: Parts) {
    this.#lab = lab;
    this.#tls = tls;
    this.#identity = identity;
    this.client = parts.client;
    this.servers = parts.servers;
    this.ipv4 = parts.ipv4;
    this.ipv6 = parts.ipv6;
    this.own = parts.own;
  }

  static async create(lab: Lab, tls: TestPki, identity: IssuedCertificate): Promise<Failover> {
    const client = await lab.namespace('client');
    const servers = [await lab.namespace('server1'), await lab.namespace('server2')] as const;
    const network = await lab.join([client, ...servers]);
    const [one, two] = servers.map((server) => network.addressesOf(server));
    const own = network.addressesOf(client);
    const parts = { client, servers, own, ipv4: [one.ipv4, two.ipv4], ipv6: [one.ipv6, two.ipv6] } as const;
    return new Failover(lab, tls, identity, parts);
  }

  /** From now on what the client sends to that address reaches nobody, and nobody says so. */
  async blackhole(address: string): Promise<void> {
    await this.client.ip('neighbor', 'replace', address, 'lladdr', NOBODY, 'nud', 'permanent', 'dev', this.own.device);
  }

  async startServer(which: 0 | 1, program: Program, proto: string): Promise<RunningProcess> {
    const { cert, key } = this.#tls.server;
    const config = serverConfig({
      identity: { ca: this.#tls.pki.ca, cert, key },
      proto,
      network: which === 0 ? '10.8.0.0 255.255.255.0' : '10.9.0.0 255.255.255.0',
      keepalive: '1 5',
    });
    const file = writeConfig(this.#lab.directory, `server${which}.conf`, config);
    const running = startProgram(this.servers[which], program, ['--config', file]);
    await running.waitForLine(UP, UP_TIMEOUT_MS);
    return running;
  }

  /** `lines` have the remotes; the one of the configuration is taken out. */
  startClient(program: Program, proto: string, lines: readonly string[]): RunningProcess {
    const { cert, key } = this.#identity;
    const config = clientConfig({
      identity: { ca: this.#tls.pki.ca, cert, key },
      proto,
      remote: 'NOWHERE',
      extra: lines,
    });
    const binds = lines.some((line) => /^(local|lport|bind)\b/.test(line));
    const text = config.replace(/^remote NOWHERE.*\n/m, '').replace(binds ? /^nobind\n/m : /^$/, '');
    return startProgram(this.client, program, ['--config', writeConfig(this.#lab.directory, 'client.conf', text)]);
  }
}

type Parts = Pick<Failover, 'client' | 'servers' | 'ipv4' | 'ipv6' | 'own'>;

describe.skipIf(!ready)('a client that has to look for its server', () => {
  let tls: TestPki;
  let identity: IssuedCertificate;
  beforeAll(async () => {
    tls = await TestPki.create();
    identity = await tls.client('client1');
  });

  const use = (body: (site: Failover) => Promise<void>): Promise<void> =>
    Lab.use(async (lab) => body(await Failover.create(lab, tls, identity)));

  describe('a dead IPv6 path costs a moment (seed: "tcp-client resolve all adresses, iterate through them in the returned order")', () => {
    for (const { server, client } of PAIRS.filter((pair) => pair.client === 'openvpnd')) {
      for (const transport of ['udp', 'tcp'] as const) {
        test(`${transport}: server ${server}`, () =>
          use(async (site) => {
            await site.startServer(0, server, `${transport}4`);
            site.client.setHosts({ 'vpn.test': [site.ipv6[0], site.ipv4[0]] });
            await site.blackhole(site.ipv6[0]);
            const running = site.startClient(client, transport, ['remote vpn.test 1194']);
            await running.waitForLine(new RegExp(`\\[AF_INET6\\]${site.ipv6[0]}:1194`), UP_TIMEOUT_MS);
            const begun = performance.now();
            await running.waitForLine(
              new RegExp(`Initial packet from \\[AF_INET\\]${site.ipv4[0]}:1194`),
              UP_TIMEOUT_MS,
            );
            const seconds = (performance.now() - begun) / 1000;
            process.stdout.write(`${transport}, server ${server}: a dead IPv6 path cost ${seconds.toFixed(2)} s\n`);
            // A simulation holds it to 3 s; this machine may rest. Without a race it would be connect-timeout, 120 s.
            expect(seconds).toBeLessThan(10);
            await running.waitForLine(UP, UP_TIMEOUT_MS);
            // Nothing has failed: no pause, no restart.
            expect(running.countLines(/SIGUSR1|Restart pause/)).toBe(0);
            expect((await ping(site.client, '10.8.0.1', { count: 3, interval: 0.1 })).received).toBe(3);
          }));
      }
    }

    test('UDP: without a race it waits for connect-timeout, in the returned order', () =>
      use(async (site) => {
        await site.startServer(0, 'openvpn', 'udp4');
        site.client.setHosts({ 'vpn.test': [site.ipv6[0], site.ipv4[0]] });
        await site.blackhole(site.ipv6[0]);
        const running = site.startClient('openvpnd', 'udp', [
          'remote vpn.test 1194',
          'connect-race off',
          'connect-timeout 4',
        ]);
        await running.waitForLine(/UDPv6 link remote/, UP_TIMEOUT_MS);
        await running.waitForLine(/SIGUSR1\[soft,server_poll\]/, UP_TIMEOUT_MS);
        await running.waitForLine(/UDPv4 link remote/, UP_TIMEOUT_MS);
        await running.waitForLine(UP, UP_TIMEOUT_MS);
      }));

    test('a refused IPv6 connection costs nothing: the next address is tried at once', () =>
      use(async (site) => {
        await site.startServer(0, 'openvpn', 'tcp4');
        site.client.setHosts({ 'vpn.test': [site.ipv6[0], site.ipv4[0]] });
        const running = site.startClient('openvpnd', 'tcp', ['remote vpn.test 1194']);
        await running.waitForLine(UP, UP_TIMEOUT_MS);
        expect(running.countLines(/TCP: connect to \[AF_INET6\].* failed: Connection refused/)).toBe(1);
        expect(running.countLines(/SIGUSR1|Restart pause/)).toBe(0);
      }));
  });

  for (const { server, client } of PAIRS) {
    const who = `server ${server}, client ${client}`;
    for (const family of [4, 6] as const) {
      for (const transport of ['udp', 'tcp'] as const) {
        for (const fault of ['refuses', 'is silent'] as const) {
          test.concurrent(`the first remote ${fault}, the second is taken, ${transport}${family}: ${who}`, () =>
            use(async (site) => {
              const addresses = family === 4 ? site.ipv4 : site.ipv6;
              await site.startServer(1, server, `${transport}${family}`);
              if (fault === 'is silent') await site.blackhole(addresses[0]);
              const running = site.startClient(client, `${transport}${family}`, [
                `remote ${addresses[0]} 1194`,
                `remote ${addresses[1]} 1194`,
                'connect-timeout 8',
                'connect-retry 1 2',
              ]);
              await running.waitForLine(UP, UP_TIMEOUT_MS);
              expect(running.countLines(/SIGUSR1\[.*\] received, process restarting/)).toBe(1);
              // Over UDP it has waited for connect-timeout already.
              expect(running.countLines(/Restart pause, 1 second/)).toBe(transport === 'udp' ? 0 : 1);
              expect((await ping(site.client, '10.9.0.1', { count: 3, interval: 0.1 })).received).toBe(3);
            }));
        }
      }
    }
  }

  test.concurrent('a client goes over to the other server when its own is gone', () =>
    use(async (site) => {
      const own = await site.startServer(0, 'openvpn', 'udp4');
      await site.startServer(1, 'openvpnd', 'udp4');
      const running = site.startClient('openvpnd', 'udp4', [
        `remote ${site.ipv4[0]} 1194`,
        `remote ${site.ipv4[1]} 1194`,
        'connect-retry 1',
      ]);
      await running.waitForLine(UP, UP_TIMEOUT_MS);
      own.signal('SIGKILL');
      await own.ended;
      await running.waitForLine(/Inactivity timeout/, UP_TIMEOUT_MS);
      await running.waitForLine(UP, UP_TIMEOUT_MS, running.lines.findIndex((line) => UP.test(line)) + 1);
      expect((await ping(site.client, '10.9.0.1', { count: 3, interval: 0.1 })).received).toBe(3);
    }));

  test.concurrent('gives up after connect-retry-max, as the stock program', () =>
    use(async (site) => {
      const lines = [`remote ${site.ipv4[0]} 1194`, 'connect-retry 1', 'connect-retry-max 2', 'connect-timeout 1'];
      for (const program of ['openvpn', 'openvpnd'] as const) {
        const running = site.startClient(program, 'tcp4', lines);
        expect((await running.waitForEnd(30_000)).status).toBe(1);
        expect(
          running.countLines(/All connections have been connect-retry-max \(?2?\)? ?times unsuccessful, exiting/),
        ).toBe(1);
        expect(running.countLines(/Exiting due to fatal error/)).toBe(1);
      }
    }));

  describe('seed: "behaviour of bind/remote if they different in the returned protocols"', () => {
    test.concurrent('"bind only IPv4 but remote IPv4/IPv6, issue warning": and the IPv4 address is used, over UDP and TCP', () =>
      use(async (site) => {
        site.client.setHosts({ 'vpn.test': [site.ipv6[0], site.ipv4[0]] });
        for (const proto of ['udp', 'tcp']) {
          const server = await site.startServer(0, 'openvpn', `${proto}4`);
          const running = site.startClient('openvpnd', proto, ['remote vpn.test 1194', `local ${site.own.ipv4}`]);
          await running.waitForLine(UP, UP_TIMEOUT_MS);
          const warning = /WARNING: --local is IPv4 only; ignoring 1 IPv6 address\(es\) of --remote vpn\.test$/;
          expect(running.countLines(warning)).toBe(1);
          expect(running.countLines(/SIGUSR1/)).toBe(0);
          for (const end of [running, server]) {
            end.signal('SIGTERM');
            await end.waitForEnd();
          }
        }
      }));

    test.concurrent('"bind only IPv4 and remote IPv6, exit with error": literals and names', () =>
      use(async (site) => {
        site.client.setHosts({ 'six.test': [site.ipv6[0]], 'own.test': [site.own.ipv4] });
        for (const [local, remote] of [
          [site.own.ipv4, site.ipv6[0]],
          ['own.test', 'six.test'],
        ]) {
          const running = site.startClient('openvpnd', 'udp', [`remote ${remote} 1194`, `local ${local}`]);
          expect((await running.waitForEnd()).status).toBe(1);
          const message = `ERROR: --local ${local} (IPv4) cannot reach --remote ${remote} (IPv6 only)`;
          expect(running.lines.filter((line) => line.endsWith(message))).toHaveLength(1);
          expect(running.countLines(/Exiting due to fatal error$/)).toBe(1);
        }
      }));

    test.concurrent('another profile that can be used is used', () =>
      use(async (site) => {
        await site.startServer(1, 'openvpn', 'udp4');
        const running = site.startClient('openvpnd', 'udp', [
          `remote ${site.ipv6[0]} 1194`,
          `remote ${site.ipv4[1]} 1194`,
          `local ${site.own.ipv4}`,
        ]);
        await running.waitForLine(UP, UP_TIMEOUT_MS);
        expect(running.countLines(/WARNING: connection profile 1 skipped: --local .* cannot reach --remote/)).toBe(1);
        expect(running.countLines(/SIGUSR1|Restart pause/)).toBe(0);
      }));
  });

  describe('seed: "if --bind is specified, only bind the socket family that is currently connected"', () => {
    for (const [family, other] of [
      [4, 6],
      [6, 4],
    ] as const) {
      for (const transport of ['udp', 'tcp'] as const) {
        test.concurrent(`${transport}${family}: the port of the other family stays free`, () =>
          use(async (site) => {
            await site.startServer(0, 'openvpn', `${transport}${family}`);
            const address = (family === 4 ? site.ipv4 : site.ipv6)[0];
            const running = site.startClient('openvpnd', transport, [`remote ${address} 1194`, 'lport 4444', 'bind']);
            await running.waitForLine(UP, UP_TIMEOUT_MS);
            const sockets = async (which: 4 | 6): Promise<string> =>
              (await site.client.run('ss', ['-Hnap', `-${which}`, 'sport', '=', ':4444'], PATIENCE_MS)).stdout.trim();
            expect((await sockets(family)).split('\n')).toHaveLength(1);
            expect(await sockets(family)).toContain(':4444');
            expect(await sockets(other)).toBe('');
            expect(
              running.countLines(new RegExp(`link local \\(bound\\): \\[AF_INET${family === 6 ? '6' : ''}\\]`)),
            ).toBe(1);
            // An IPv6 socket that took IPv4 too would be in the way.
            const wildcard = other === 4 ? '0.0.0.0' : '::';
            const script = `require('node:dgram').createSocket({type:'udp${other}',ipv6Only:true}).bind(4444,'${wildcard}',()=>process.exit(0))`;
            expect((await site.client.run(process.execPath, ['-e', script], PATIENCE_MS)).status).toBe(0);
          }));
      }
    }

    test.concurrent('without bind nothing is bound to a port of ours', () =>
      use(async (site) => {
        await site.startServer(0, 'openvpn', 'udp4');
        const running = site.startClient('openvpnd', 'udp', [`remote ${site.ipv4[0]} 1194`]);
        await running.waitForLine(UP, UP_TIMEOUT_MS);
        expect(running.countLines(/UDPv4 link local: \(not bound\)/)).toBe(1);
        const { stdout } = await site.client.run('ss', ['-Hnau', 'sport', '=', ':1194'], PATIENCE_MS);
        expect(stdout.trim()).toBe('');
      }));
  });

  test.concurrent('seed: "add --ipv4 and --ipv6 options to force a protocol"', () =>
    use(async (site) => {
      await site.startServer(0, 'openvpnd', 'udp');
      site.client.setHosts({ 'vpn.test': [site.ipv6[0], site.ipv4[0]] });
      for (const [option, expected, never] of [
        ['ipv4', /UDPv4 link remote/, /AF_INET6/],
        ['ipv6', /UDPv6 link remote/, /AF_INET\]/],
      ] as const) {
        const running = site.startClient('openvpnd', 'udp', ['remote vpn.test 1194', option]);
        await running.waitForLine(UP, UP_TIMEOUT_MS);
        expect(running.countLines(expected)).toBe(1);
        expect(running.countLines(never)).toBe(0);
        running.signal('SIGTERM');
        await running.waitForEnd();
      }
    }));
});
