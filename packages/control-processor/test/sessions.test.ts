import { StatelessHandshake } from '@openvpnd/control-wrap';
import { fakeCertificate, SeededRandom } from '@openvpnd/testkit';
import { emitControlPacket, P_CONTROL_HARD_RESET_CLIENT_V2, P_CONTROL_HARD_RESET_SERVER_V2 } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { TlsMulti } from '../src/index.js';
import { type Peer, World } from './two-peers.js';
import { cryptWraps } from './wraps.js';

function hardReset(
  sessionId: Uint8Array,
  opcode: number = P_CONTROL_HARD_RESET_CLIENT_V2,
  messageId: number = 0,
): Uint8Array {
  return emitControlPacket({ opcode, keyId: 0, sessionId, acks: [], messageId, payload: new Uint8Array(0) });
}

function stranger(seed: number): Uint8Array {
  const id = new Uint8Array(8);
  new SeededRandom(seed).fill(id);
  return id;
}

function expectData(world: World): void {
  const { client, server } = world;
  const before = [
    client.received,
    server.received,
    client.sent,
    server.sent,
    client.undecipherable + server.undecipherable,
  ];
  world.traffic(10, world.clock.now() + 200);
  world.clock.advanceBy(500);
  expect(client.sent).toBeGreaterThan(before[2]!);
  expect(client.received - before[0]!).toBe(server.sent - before[3]!);
  expect(server.received - before[1]!).toBe(client.sent - before[2]!);
  expect(client.undecipherable + server.undecipherable).toBe(before[4]!);
}

describe('a peer that has lost its state', () => {
  test('takes over once it has authenticated, and the old keys go', () => {
    const world = new World();
    world.connect();
    world.clock.advanceBy(3000);
    const { client, server } = world;
    const old = server.keys.get(0);
    client.restart();
    server.automatic = false;
    world.start();
    world.clock.advanceBy(2000);
    // The newcomer waits for its verdict: nothing has changed for the old session.
    expect(server.keys.get(0)).toBe(old);
    expect(server.sendingWith).toBe(0);
    expect(server.all('peer-initiated')).toHaveLength(1);
    server.automatic = true;
    const request = server.all('verify').at(-1)!;
    expect(request.renegotiation).toBe(false);
    server.run(server.multi.handleVerdict(world.clock.now(), request.requestId, { type: 'accept' }));
    world.clock.advanceBy(6000);
    expect(server.all('peer-initiated').map(({ again }) => again)).toEqual([false, true]);
    expect(server.all('connected').map(({ again }) => again)).toEqual([false, true]);
    expect(server.keys.size).toBe(1);
    expect(server.keys.get(0)).not.toBe(old);
    expectData(world);
  });

  test('has no second session with --single-session, where it would have one without', () => {
    for (const singleSession of [true, false]) {
      const world = new World({ server: { settings: { singleSession } } });
      world.connect();
      world.clock.advanceBy(3000);
      const { client, server } = world;
      const old = server.keys.get(0);
      client.restart();
      world.start();
      world.clock.advanceBy(20_000);
      expect(server.all('peer-initiated')).toHaveLength(singleSession ? 1 : 2);
      if (singleSession) expect(server.keys.get(0)).toBe(old);
      else expect(server.keys.get(0)).not.toBe(old);
    }
  });

  test('is dropped when it is refused, and the old session never notices', () => {
    const world = new World();
    world.connect();
    world.clock.advanceBy(3000);
    const { client, server } = world;
    client.restart();
    server.automatic = false;
    world.start();
    world.clock.advanceBy(2000);
    const request = server.all('verify').at(-1)!;
    server.run(server.multi.handleVerdict(world.clock.now(), request.requestId, { type: 'reject' }));
    world.clock.advanceBy(10_000);
    expect(client.all('auth-failed')).toHaveLength(1);
    expect(server.all('exit')).toEqual([]);
    expect(server.multi.connected).toBe(true);
    expect(server.all('retire-keys')).toEqual([]);
  });

  test('must be the same peer: another name does not take over', () => {
    const world = new World();
    world.connect();
    world.clock.advanceBy(3000);
    const { server } = world;
    const impostor = new World({ seed: 9, client: { tls: { certificates: [fakeCertificate('mallory')] } } });
    // The impostor talks to the server of the first world, from the same address.
    world.filter = (from, packet) => {
      if (from === server) impostor.client.receive(packet.slice());
      return from !== server;
    };
    impostor.filter = (from, packet) => {
      if (from === impostor.client) server.receive(packet.slice());
      return false;
    };
    impostor.client.run(impostor.client.multi.start(impostor.clock.now()));
    for (let i = 0; i < 50; i++) {
      world.clock.advanceBy(100);
      impostor.clock.advanceBy(100);
    }
    expect(server.logged('auth.identity-changed')).toEqual([{ what: 'commonName', was: 'client1', is: 'mallory' }]);
    expect(server.all('peer-initiated')).toHaveLength(1);
    world.filter = () => true;
    expectData(world);
  });
});

describe('undecided is no', () => {
  test('also in a renegotiation: the peer is refused a hand window later', () => {
    const world = new World();
    world.connect();
    world.clock.advanceBy(3000);
    const { client, server } = world;
    server.automatic = false;
    client.run(client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(59_000);
    expect(server.keys.has(1)).toBe(false);
    expect(server.sendingWith).toBe(0);
    expect(client.all('auth-failed')).toEqual([]);
    world.clock.advanceBy(10_000);
    expect(client.all('auth-failed')).toHaveLength(1);
    expect(server.all('exit')).toEqual([{ type: 'exit', reason: 'auth-failed' }]);
    expect(server.keys.has(1)).toBe(false);
  });
});

test('a session that hangs before it is known does not take the next one along', () => {
  const world = new World();
  const { server } = world;
  server.receive(hardReset(stranger(1)));
  world.clock.advanceBy(55_000);
  server.automatic = false;
  world.start();
  world.clock.advanceBy(2000);
  // The stranger's session ends by its hand window; the newcomer has no verdict yet.
  world.clock.advanceBy(5000);
  expect(server.all('session-lost')).toEqual([]);
  server.automatic = true;
  server.run(server.multi.handleVerdict(world.clock.now(), server.all('verify').at(-1)!.requestId, { type: 'accept' }));
  world.clock.advanceBy(6000);
  expectData(world);
});

test('two sessions that both hang leave a peer that is lost', () => {
  const world = new World();
  const { server } = world;
  server.receive(hardReset(stranger(1)));
  world.clock.advanceBy(30_000);
  server.receive(hardReset(stranger(2)));
  world.clock.advanceBy(31_000);
  expect(server.all('session-lost')).toEqual([]);
  world.clock.advanceBy(31_000);
  expect(server.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'handshake-timeout' }]);
});

describe('forged resets', () => {
  test('never touch the session, however many come', () => {
    const world = new World();
    world.connect();
    const { client, server } = world;
    const begin = world.clock.now();
    world.traffic(10, begin + 20_000);
    for (let i = 0; i < 10_000; i++) {
      world.clock.schedule(begin + i * 2, () => {
        server.receive(hardReset(stranger(i)));
        client.receive(hardReset(stranger(i), P_CONTROL_HARD_RESET_SERVER_V2));
      });
    }
    const actions = [client.actions.length, server.actions.length];
    world.clock.advanceTo(begin + 30_000);
    expect(client.undecipherable + server.undecipherable).toBe(0);
    expect(client.received).toBe(server.sent);
    expect([client.actions.length, server.actions.length]).toEqual(actions);
    // One newcomer at a time, each given five seconds.
    expect(server.logged('session.incoming').length).toBeLessThan(8);
  });

  test('are no sign of life, as the packets of the peer are', () => {
    const world = new World();
    world.connect();
    const { client, server } = world;
    world.clock.advanceBy(1000);
    const heardAt = server.multi.heardAt;
    world.clock.advanceBy(1000);
    server.receive(hardReset(stranger(1)));
    expect(server.logged('session.incoming').length).toBeGreaterThan(1);
    expect(server.multi.heardAt).toBe(heardAt);
    client.run(client.multi.sendControlMessage(world.clock.now(), 'INFO,here'));
    world.clock.advanceBy(1000);
    expect(server.multi.heardAt).toBeGreaterThan(heardAt);
  });

  test('do not keep the honest peer from coming back', () => {
    const world = new World();
    world.connect();
    const { client, server } = world;
    server.receive(hardReset(stranger(1)));
    client.restart();
    world.start();
    world.clock.advanceBy(30_000);
    expect(server.all('connected')).toHaveLength(2);
    expectData(world);
  });

  test('of the wrong kind are dropped', () => {
    const world = new World();
    world.connect();
    const { server } = world;
    const before = server.actions.length;
    const logged = server.logged('session.incoming').length;
    server.receive(hardReset(stranger(1), P_CONTROL_HARD_RESET_SERVER_V2));
    server.receive(hardReset(stranger(1), P_CONTROL_HARD_RESET_CLIENT_V2, 1));
    server.receive(hardReset(new Uint8Array(8)));
    const withKeyId = hardReset(stranger(1));
    withKeyId[0]! |= 3;
    server.receive(withKeyId);
    expect(server.logged('session.incoming')).toHaveLength(logged);
    expect(server.actions).toHaveLength(before);
    server.receive(hardReset(stranger(1)));
    expect(server.logged('session.incoming')).toHaveLength(logged + 1);
  });
});

describe('who a peer is', () => {
  test.each([
    ['the common name', fakeCertificate('client2')],
    ['the certificate', fakeCertificate('client1', { sha256: new Uint8Array(32) })],
  ])('%s must not change in a renegotiation', (_name, other) => {
    const certificates = [fakeCertificate('client1')];
    const world = new World({ client: { tls: { certificates } } });
    world.connect();
    world.clock.advanceBy(3000);
    certificates[0] = other;
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(10_000);
    expect(world.server.logged('auth.identity-changed')).toHaveLength(1);
    expect(world.client.all('auth-failed')).toHaveLength(1);
    expect(world.server.all('exit')).toEqual([{ type: 'exit', reason: 'auth-failed' }]);
    expect(world.server.keys.has(1)).toBe(false);
  });

  test('the same one goes on', () => {
    const world = new World({ client: { settings: { credentials: { username: 'a', password: 'b' } } } });
    world.connect();
    world.clock.advanceBy(3000);
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(3000);
    expect(world.server.all('verify').map(({ username, renegotiation }) => [username, renegotiation])).toEqual([
      ['a', false],
      ['a', true],
    ]);
    expect(world.server.keys.has(1)).toBe(true);
  });

  test('the username must not change, unless the verdict says that it is the same person', () => {
    const world = new World({ client: { settings: { credentials: { username: 'a', password: 'b' } } } });
    world.connect();
    world.clock.advanceBy(3000);
    const { client, server } = world;
    server.automatic = false;
    client.multi.setCredentials({ username: '', password: 'SESS_ID_AT_x' });
    client.run(client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(2000);
    const token = server.all('verify').at(-1)!;
    expect(token.password).toBe('SESS_ID_AT_x');
    server.run(server.multi.handleVerdict(world.clock.now(), token.requestId, { type: 'accept', username: 'a' }));
    expect(server.keys.has(1)).toBe(true);
    world.clock.advanceBy(70_000);
    client.multi.setCredentials({ username: 'root', password: 'b' });
    client.run(client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(2000);
    server.run(
      server.multi.handleVerdict(world.clock.now(), server.all('verify').at(-1)!.requestId, { type: 'accept' }),
    );
    world.clock.advanceBy(2000);
    expect(client.all('auth-failed')).toHaveLength(1);
    expect(server.keys.has(2)).toBe(false);
  });

  test('a certificate that is no longer trusted ends the session at the renegotiation, lame duck or not', () => {
    let trusted = true;
    const verify = (): { depth: number; error: string; subject: string } | undefined =>
      trusted ? undefined : { depth: 0, error: 'certificate revoked', subject: 'CN=client1' };
    const world = new World({ server: { tls: { verify } } });
    world.connect();
    world.clock.advanceBy(3000);
    trusted = false;
    world.server.run(world.server.multi.renegotiate(world.clock.now(), 'sec'));
    world.clock.advanceBy(3000);
    expect(world.server.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'verification-failed' }]);
  });
});

describe('after the stateless handshake', () => {
  test('the session goes on where the cookie left it', () => {
    const world = new World({ wrapped: true });
    const { client, server } = world;
    const unixTime = (now: number): number => Math.floor(now / 1000);
    const wraps = cryptWraps('server');
    const handshake = new StatelessHandshake({ wraps, random: new SeededRandom(3), unixTime });
    const address = Uint32Array.of(4, 1194, 0x7f000001, 0, 0, 0, 0, 1);
    let made = 0;
    const receive = server.receive.bind(server);
    server.receive = (packet) => {
      if (made > 0) return receive(packet);
      const verdict = handshake.handleFirstPacket(world.clock.now(), packet, address);
      if (verdict.type === 'reply') world.carry(server, verdict.packet);
      if (verdict.type !== 'accept') return;
      made++;
      server.run(server.multi.handleAccepted(world.clock.now(), verdict, verdict.packet));
    };
    world.connect();
    expect(made).toBe(1);
    expectData(world);
    client.run(client.multi.renegotiate(world.clock.now() + 2000, 'bytes'));
    world.clock.advanceBy(5000);
    expect(server.keys.has(1)).toBe(true);
  });
});

describe('the end', () => {
  test('close zeroes every key and leaves nothing to do', () => {
    const world = new World();
    world.connect();
    world.clock.advanceBy(2000);
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(2000);
    for (const peer of [world.client, world.server]) {
      const keys = [...peer.keys.values()];
      expect(keys).toHaveLength(2);
      expect(keys.every(({ keys }) => keys.send.cipherKey.bytes.some((byte) => byte !== 0))).toBe(true);
      peer.multi.close();
      peer.multi.close();
      expect(keys.every(({ keys }) => keys.send.cipherKey.bytes.every((byte) => byte === 0))).toBe(true);
      expectSilent(peer, world);
    }
  });

  function expectSilent(peer: Peer, world: World): void {
    const { multi } = peer;
    const now = world.clock.now();
    expect(multi).toBeInstanceOf(TlsMulti);
    expect(multi.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
    expect(multi.handlePacket(now, hardReset(stranger(1)))).toEqual([]);
    expect(multi.handleTimeout(now + 1e9)).toEqual([]);
    expect(multi.handleWake(now)).toEqual([]);
    expect(multi.renegotiate(now, 'x')).toEqual([]);
    expect(multi.sendControlMessage(now, 'x')).toEqual([]);
    expect(multi.notifyExit(now)).toEqual({ handled: false, actions: [] });
  }

  test('a retired key is zeroed too', () => {
    const settings = { tranWindowMs: 10_000 };
    const world = new World({ server: { settings } });
    world.connect();
    world.clock.advanceBy(2000);
    const { keys } = world.server.keys.get(0)!;
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(20_000);
    expect(world.server.all('retire-keys')).toEqual([{ type: 'retire-keys', keyId: 0 }]);
    expect(keys.receive.cipherKey.bytes.every((byte) => byte === 0)).toBe(true);
  });
});
