import { readFileSync } from 'node:fs';
import { SeededRandom } from '@openvpnd/testkit';
import {
  type ContinuousPing,
  clientConfig,
  Lab,
  labReady,
  PATIENCE_MS,
  ping,
  type RunningProcess,
  startPing,
  writeConfig,
} from '@openvpnd/testkit/node';
import { emitControlPacket, P_CONTROL_HARD_RESET_CLIENT_V2, P_CONTROL_SOFT_RESET_V1, P_DATA_V2 } from '@openvpnd/wire';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HostilePeer, type Target } from './hostile-peer.js';
import { bitFlips, firstBytes, mangled, noise, truncations } from './mutations.js';
import { Site, STACK_TRACE, startProgram, TestPki, UP, UP_TIMEOUT_MS } from './tunnel-lab.js';

const ready = labReady('openvpn', 'ping');

/** What a heap that warms up may take while nothing is kept of the datagrams. */
const DATAGRAM_GROWTH_KIB = 40 << 10;
/** Hundreds of TLS sessions in a second leave garbage until the next collection; more of them leave no more. */
const SESSION_GROWTH_KIB = 160 << 10;
/** The sources of floods: two octets each, routed to the attacker. */
const FLOOD = '10.66';
const CROWD = '10.67';

describe.skipIf(!ready)('a server with two clients, under attack', () => {
  let lab: Lab;
  let site: Site;
  let server: RunningProcess;
  let clients: readonly RunningProcess[];
  let hearts: readonly ContinuousPing[];
  let attacker: HostilePeer;
  let target: Target;
  /** Control and data packets of a session that lives: our client's, as the relay in front of it sees them. */
  let session: readonly Uint8Array[];
  let residentAtStart: number;
  const random = new SeededRandom(1);

  beforeAll(async () => {
    lab = new Lab();
    const tls = await TestPki.create();
    site = await Site.create(lab, tls, { clients: 3 });
    // A flood that comes while the server waits for a processor may not push pings out of its socket: this is about what the server does.
    server = await site.startServer('openvpnd', ['keepalive 1 20', 'rcvbuf 4194304']);
    target = { address: site.serverAddresses.ipv4, port: 1194 };
    const [stockPlace, ownPlace, attackerPlace] = site.clientPlaces;
    const [shown] = JSON.parse(await attackerPlace.ip('-j', '-4', 'address', 'show', 'dev', 'eth0'));
    const here = shown.addr_info[0].local as string;
    for (const prefix of [FLOOD, CROWD]) {
      await attackerPlace.ip('route', 'add', 'local', `${prefix}.0.0/16`, 'dev', 'lo');
      await site.serverPlace.ip('route', 'add', `${prefix}.0.0/16`, 'via', here);
    }
    attacker = await HostilePeer.start(lab, attackerPlace);
    await attacker.relay({ address: here, port: 1194, server: target, upstream: 'live' });
    await attacker.open('stranger', here);

    const stock = await site.connectClient('openvpn', 0);
    const identity = { ca: tls.pki.ca, ...(await tls.client('client2')) };
    const config = clientConfig({ identity, proto: 'udp4', remote: here });
    const own = startProgram(ownPlace, 'openvpnd', ['--config', writeConfig(lab.directory, 'client2.conf', config)]);
    await own.waitForLine(UP, UP_TIMEOUT_MS);
    clients = [stock, own];
    hearts = [stockPlace, ownPlace].map((place) => startPing(place, '10.8.0.1', { interval: 0.02 }));
    await Promise.all(hearts.map((heart) => heart.reply(UP_TIMEOUT_MS)));
    for (let reply = 0; reply < 10; reply += 1) await hearts[1].reply();
    const { up } = await attacker.recorded();
    const isData = (packet: Uint8Array): boolean => packet[0] >> 3 === P_DATA_V2;
    session = [...up.filter((packet) => !isData(packet)), ...up.filter(isData).slice(0, 4)];
    residentAtStart = residentKib(server);
  });
  afterAll(() => lab.close());

  function residentKib(running: RunningProcess): number {
    return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${running.pid}/status`, 'utf8'))?.[1]);
  }

  /** Lets an attack happen and expects that nobody has noticed. */
  async function harmless(attack: () => Promise<unknown>): Promise<void> {
    await attack();
    for (const { sent, received } of await Promise.all(hearts.map((heart) => heart.count()))) {
      expect(received).toBe(sent);
    }
    for (const running of [server, ...clients]) {
      expect(running.end).toBeUndefined();
      expect(running.countLines(STACK_TRACE)).toBe(0);
      expect(running.countLines(/internal error/)).toBe(0);
    }
    // Once connected, always connected: no session was replaced.
    await server.waitForExactly(/\[client\d\] Peer Connection Initiated/, 2);
    for (const running of clients) expect(running.countLines(UP)).toBe(1);
  }

  const everywhere = async (packets: readonly Uint8Array[]): Promise<void> => {
    await attacker.send('stranger', packets, target);
    await attacker.send('live', packets, target);
  };
  const reset = (number: number): Uint8Array => {
    const sessionId = new Uint8Array(8).fill(0xee);
    new DataView(sessionId.buffer).setUint32(0, number);
    return emitControlPacket({
      opcode: P_CONTROL_HARD_RESET_CLIENT_V2,
      keyId: 0,
      sessionId,
      acks: [],
      messageId: 0,
      payload: new Uint8Array(0),
    });
  };

  describe('datagrams', () => {
    test('every packet of a session, cut at every length', () =>
      harmless(() => everywhere(session.flatMap(truncations))));
    test('every bit of the first bytes of every packet flipped', () =>
      harmless(() => everywhere(session.flatMap((packet) => bitFlips(packet, 40)))));
    test('every first byte in front of every packet', () => harmless(() => everywhere(session.flatMap(firstBytes))));
    test('packets with other bytes at random', () =>
      harmless(() =>
        everywhere(Array.from({ length: 4000 }, () => mangled(random, session[random.below(session.length)]))),
      ));
    test('noise of every small length and of many larger ones', () => {
      const lengths = Array.from({ length: 2000 }, (_, index) => (index < 300 ? index : random.below(1500)));
      return harmless(() => everywhere(lengths.map((length) => noise(random, length))));
    });
    test('the largest datagrams', () => {
      const lengths = [65507, 65000, 32768, 2049, 2048, 2047].flatMap((length) => Array<number>(10).fill(length));
      const packets = lengths.map((length) => noise(random, length));
      return harmless(() => attacker.send('stranger', packets, target, 500));
    });
    test('data packets under the ids of all peers', () => {
      const data = session.filter((packet) => packet[0] >> 3 === P_DATA_V2);
      const packets = [0, 1, 2, 3, 255, 1023, 1024, 0xfffffe, 0xffffff].flatMap((peerId) =>
        data.flatMap((packet) => Array.from({ length: 8 }, (_, keyId) => withHeader(packet, keyId, peerId))),
      );
      return harmless(() => everywhere([...packets, ...packets, ...packets]));
    });
    test('the whole session again and again', () =>
      harmless(() => everywhere(Array.from({ length: 30 }, () => session).flat())));
    test("resets from a live client's own address", () =>
      harmless(() =>
        attacker.send(
          'live',
          Array.from({ length: 4000 }, (_, index) => reset(index)),
          target,
        ),
      ));
    test('the same reset a thousand times', () =>
      harmless(() => everywhere(Array.from({ length: 1000 }, () => reset(7)))));
    test('soft resets, with the session id of a live client and without', () => {
      const sessionId = session[0].slice(1, 9);
      const soft = (index: number): Uint8Array =>
        emitControlPacket({
          opcode: P_CONTROL_SOFT_RESET_V1,
          keyId: index & 7,
          sessionId: index % 3 === 0 ? noise(random, 8) : sessionId,
          acks: [],
          messageId: 0,
          payload: new Uint8Array(0),
        });
      return harmless(() =>
        attacker.send(
          'stranger',
          Array.from({ length: 2000 }, (_, index) => soft(index)),
          target,
        ),
      );
    });
    test('resets from ten thousand addresses', () =>
      harmless(() => attacker.flood(FLOOD, 10_000, [reset(1)], target, 8000)));
    test('nothing of all this is kept', () => {
      expect(residentKib(server) - residentAtStart).toBeLessThan(DATAGRAM_GROWTH_KIB);
    });
  });

  describe('sessions that prove their address', () => {
    test('and then say nothing', () => harmless(() => attacker.halfOpen(CROWD, 600, target, [], 800)));
    test('and then say what is no TLS', async () => {
      const from = server.lines.length;
      await harmless(() =>
        attacker.halfOpen(CROWD, 60, target, [new TextEncoder().encode('GET / HTTP/1.1\r\n\r\n')], 200),
      );
      await server.waitForLine(/TLS Error: TLS handshake failed/, UP_TIMEOUT_MS, from);
    });
    test('and then announce the largest record and fill it', () => {
      const hello: Uint8Array[] = [new Uint8Array([22, 3, 1, 0xff, 0xff, 1, 0, 0xff, 0xff])];
      for (let count = 0; count < 40; count += 1) hello.push(noise(random, 1100));
      return harmless(() => attacker.halfOpen(CROWD, 60, target, hello, 60));
    });
    test('and then say Hello one byte at a time', () => {
      const clientHello = session.find((packet) => packet.length > 200 && packet[0] >> 3 === 4) ?? new Uint8Array(0);
      const bytes = Array.from(clientHello.subarray(26), (value) => new Uint8Array([value]));
      return harmless(() => attacker.halfOpen(CROWD, 20, target, bytes, 20));
    });
    test('little of all this is kept', () => {
      expect(residentKib(server) - residentAtStart).toBeLessThan(SESSION_GROWTH_KIB);
    });
  });

  describe('a client that lies about its inner address', () => {
    test('gets nothing for an address of nobody, or of its neighbour', async () => {
      const [place] = site.clientPlaces;
      const neighbour = await site.tunnelAddress(1, 4);
      await harmless(async () => {
        for (const address of ['10.8.0.77', neighbour, '192.0.2.9']) {
          await place.ip('address', 'add', `${address}/32`, 'dev', 'tun0');
          const done = await place.run(
            'ping',
            ['-n', '-c', '2', '-i', '0.05', '-W', '0.5', '-I', address, '10.8.0.1'],
            PATIENCE_MS,
          );
          expect(done.output).toContain(', 0 received');
          await place.ip('address', 'del', `${address}/32`, 'dev', 'tun0');
        }
      });
    });
  });

  test('a newcomer connects as if nothing had been', async () => {
    await site.connectClient('openvpn', 2);
    for (const [index, heart] of hearts.entries()) {
      const { sent, received, timesMs } = await heart.finish();
      expect(received).toBe(sent);
      expect(received).toBeGreaterThan(200);
      // For people who read the figures.
      process.stdout.write(`client ${index + 1}: ${received} replies, worst ${Math.max(...timesMs)} ms\n`);
    }
  });
});

/** A P_DATA_V2 packet under another key and peer id. */
function withHeader(packet: Uint8Array, keyId: number, peerId: number): Uint8Array {
  const copy = packet.slice();
  new DataView(copy.buffer).setUint32(0, (((P_DATA_V2 << 3) | keyId) << 24) | peerId);
  return copy;
}

describe.skipIf(!ready)('a client with a hostile server', () => {
  let tls: TestPki;
  beforeAll(async () => {
    tls = await TestPki.create();
  });

  test('takes what makes sense of what is pushed and refuses the rest, in one line each', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const refused = [
        'setenv LD_PRELOAD x',
        'setenv opt up /bin/sh',
        'setenv opt plugin x.so',
        'up /bin/sh',
        'plugin x.so',
        'script-security 2',
        'config /etc/passwd',
        'log /tmp/evil',
        'ca /etc/shadow',
        'frobnicate',
        'route 1.2.3.4.5',
        'route 10.0.0.0 255.0.255.0',
        'route-ipv6 10.0.0.0/8',
        'ifconfig 300.1.1.1 255.255.255.0',
        'topology ring',
        'tun-mtu 1',
        'tun-mtu 99999999999999999999',
        'peer-id -1',
        'peer-id 16777216',
        'ping abc',
        'ping -1',
        'ping-restart 9223372036854775808',
        'inactive 2147483648',
      ];
      await site.startServer(
        'openvpn',
        refused.map((option) => `push "${option}"`),
      );
      const client = await site.connectClient('openvpnd');
      const place = site.clientPlaces[0];
      expect(client.countLines(/^.*Options error: /)).toBeGreaterThanOrEqual(refused.length);
      for (const option of refused) {
        const [name] = option.replace('setenv opt ', '').split(' ');
        expect(client.tail(200)).toMatch(new RegExp(`Options error: .*${name}`));
      }
      expect(await place.ip('route')).not.toContain('1.2.3.4');
      expect((await ping(place, '10.8.0.1', { count: 3, interval: 0.1 })).received).toBe(3);
      expect((await client.stop()).status).toBe(0);
      expect(client.countLines(STACK_TRACE)).toBe(0);
    }));

  test('drops a reply with control characters whole', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      await site.startServer('openvpn', ['push "echo \x1b[31mred"']);
      const client = await site.startClient('openvpnd');
      await client.waitForLine(/WARNING: 1 control message\(s\) with characters that are not allowed were dropped/);
      expect((await client.stop()).status).toBe(0);
      expect(client.lines.join('\n')).not.toContain('\x1b');
    }));

  test('sets two thousand routes, and leaves at once while it does', () =>
    Lab.use(async (lab) => {
      const site = await Site.create(lab, tls);
      const routes = Array.from(
        { length: 2000 },
        (_, index) => `route 10.${100 + (index >> 8)}.${index & 255}.0 255.255.255.0`,
      );
      await site.startServer(
        'openvpn',
        routes.map((option) => `push "${option}"`),
      );
      const place = site.clientPlaces[0];
      const before = await place.ip('route');
      const patient = await site.connectClient('openvpnd');
      expect((await place.ip('route')).split('\n').filter((line) => line.includes('via 10.8.0.1'))).toHaveLength(2000);
      expect(await patient.stop()).toEqual({ status: 0, signal: null });
      expect(await place.ip('route')).toBe(before);

      const hasty = await site.startClient('openvpnd');
      await hasty.waitForLine(/net_route_v4_add/, UP_TIMEOUT_MS);
      expect(await hasty.stop()).toEqual({ status: 0, signal: null });
      expect(await place.ip('route')).toBe(before);
      expect(await place.ip('link')).not.toContain('tun');
    }));
});

describe.skipIf(!ready).concurrent('time stands still for one end', () => {
  for (const frozen of ['server', 'client'] as const) {
    test(`the ${frozen} sleeps for longer than the keepalive, and the tunnel is back`, () =>
      Lab.use(async (lab) => {
        const site = await Site.create(lab, await TestPki.create());
        const server = await site.startServer('openvpnd', ['keepalive 1 3']);
        const client = await site.connectClient('openvpnd');
        const [sleeper, from] = [frozen === 'server' ? server : client, client.lines.length];
        sleeper.signal('SIGSTOP');
        await new Promise((resolve) => setTimeout(resolve, 7000));
        sleeper.signal('SIGCONT');
        await client.waitForLine(/SIGUSR1\[soft,ping-restart\] received, process restarting/, PATIENCE_MS, from);
        await client.waitForLine(UP, UP_TIMEOUT_MS, from);
        expect((await ping(site.clientPlaces[0], '10.8.0.1', { count: 3 })).received).toBe(3);
        for (const running of [server, client]) {
          expect(running.countLines(STACK_TRACE)).toBe(0);
          expect((await running.stop()).status).toBe(0);
        }
      }));
  }
});
