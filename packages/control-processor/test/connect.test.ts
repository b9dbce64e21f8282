import { BLACKHOLE, fakeCertificate } from '@openvpnd/testkit';
import {
  IV_PROTO_CC_EXIT_NOTIFY,
  IV_PROTO_DATA_EPOCH,
  IV_PROTO_DATA_V2,
  IV_PROTO_TLS_KEY_EXPORT,
  opcodeOf,
  P_CONTROL_V1,
} from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { ownIvProto, readPulledOptions } from '../src/index.js';
import { World } from './two-peers.js';

const ALL = ownIvProto('p2mp', { exporter: true });

/** Data flows both ways and every packet opens. */
function expectTraffic(world: World): void {
  const { client, server } = world;
  const before = [client.received, server.received, client.sent, server.sent];
  world.traffic(10, world.clock.now() + 100);
  world.clock.advanceBy(500);
  expect(client.received - before[0]!).toBe(server.sent - before[3]!);
  expect(server.received - before[1]!).toBe(client.sent - before[2]!);
  expect(client.sent).toBeGreaterThan(before[2]!);
  expect(client.undecipherable + server.undecipherable).toBe(0);
}

const CBC = { dataCiphers: ['AES-256-CBC'] };

describe('a client and a server', () => {
  test('connect, agree and have each other’s keys', () => {
    const world = new World();
    world.connect();
    const { client, server } = world;
    expect(client.multi.negotiated).toEqual(server.multi.negotiated);
    expect(client.multi.negotiated).toEqual({
      cipher: 'AES-256-GCM',
      peerId: 5,
      keyDerivation: 'tls-ekm',
      ccExit: true,
      dynamicTlsCrypt: true,
      epochKeys: true,
    });
    for (const end of [client, server]) expect(end.all('install-keys').map(({ epoch }) => epoch)).toEqual([true]);
    expectTraffic(world);
    expect(client.all('pull')[0]?.options).toEqual([
      'route 10.0.0.0 255.0.0.0',
      'ifconfig 10.8.0.2 255.255.255.0',
      'peer-id 5',
      'cipher AES-256-GCM',
      'protocol-flags cc-exit tls-ekm dyn-tls-crypt aead-epoch',
      'tun-mtu 1500',
    ]);
    expect(client.all('connected')).toHaveLength(1);
    expect(server.all('peer-initiated')[0]).toMatchObject({ commonName: 'client1', again: false });
    expect(server.logged('occ.inconsistent')).toEqual([]);
  });

  test('the order of actions lets keys be used as soon as they are told of', () => {
    const world = new World();
    world.connect();
    for (const peer of [world.client, world.server]) {
      const order = peer.actions
        .map(({ type }) => type)
        .filter((type) => type !== 'verify' && type !== 'push-request' && type !== 'pull');
      expect(order).toEqual(['peer-initiated', 'negotiated', 'install-keys', 'send-with', 'connected']);
    }
  });

  test.each([
    ['client', { client: { settings: { ivProto: ALL & ~IV_PROTO_TLS_KEY_EXPORT } } }],
    ['server', { server: { settings: { ivProto: ALL & ~IV_PROTO_TLS_KEY_EXPORT } } }],
  ] as const)('without the exporter at the %s they use the PRF', (_name, changes) => {
    const world = new World(changes);
    world.connect();
    expect(world.client.multi.negotiated?.keyDerivation).toBe('prf');
    expectTraffic(world);
  });

  test.each([
    ['the client does not know them', { client: { settings: { ivProto: ALL & ~IV_PROTO_DATA_EPOCH } } }],
    ['the server does not know them', { server: { settings: { ivProto: ALL & ~IV_PROTO_DATA_EPOCH } } }],
    ['the client does not know protocol-flags', { client: { settings: { ivProto: ALL & ~IV_PROTO_CC_EXIT_NOTIFY } } }],
    ['there is no peer id', { client: { settings: { ivProto: ALL & ~IV_PROTO_DATA_V2 } } }],
    [
      'the cipher is no AEAD',
      {
        client: { settings: { ...CBC, peerInfo: `IV_CIPHERS=AES-256-CBC\nIV_PROTO=${ALL}\n` } },
        server: { settings: CBC },
      },
    ],
  ] as const)('no epoch keys where %s', (_name, changes) => {
    const world = new World(changes);
    world.connect();
    for (const end of [world.client, world.server]) {
      expect(end.multi.negotiated).toMatchObject({ epochKeys: false });
      expect(end.all('install-keys').map(({ epoch }) => epoch)).toEqual([false]);
    }
    expect(world.client.all('pull')[0]?.options.join()).not.toContain('aead-epoch');
    expectTraffic(world);
  });

  test('a client that knows the exporter but not protocol-flags is told by key-derivation', () => {
    const world = new World({ client: { settings: { ivProto: ALL & ~IV_PROTO_CC_EXIT_NOTIFY } } });
    world.connect();
    expect(world.client.all('pull')[0]?.options).toContain('key-derivation tls-ekm');
    expect(world.client.multi.negotiated).toMatchObject({
      keyDerivation: 'tls-ekm',
      ccExit: false,
      dynamicTlsCrypt: false,
    });
    expectTraffic(world);
  });

  test('a client as old as 2.4 asks for its options and gets what it understands', () => {
    const world = new World({
      client: { settings: { ivProto: 2, peerInfo: 'IV_VER=2.4.4\nIV_PLAT=linux\nIV_PROTO=2\nIV_NCP=2\n' } },
    });
    world.connect();
    expect(world.client.all('pull')[0]?.options.slice(2)).toEqual(['peer-id 5', 'cipher AES-256-GCM']);
    expect(world.server.multi.negotiated).toMatchObject({ peerId: 5, keyDerivation: 'prf', ccExit: false });
    expectTraffic(world);
  });

  test('a client without peer info gets P_DATA_V1 and the cipher of its options string', () => {
    const string =
      'V4,dev-type tun,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-128-GCM,auth [null-digest],keysize 128,key-method 2,tls-client';
    const serverString = string.replace('tls-client', 'tls-server');
    const world = new World({
      client: { settings: { ivProto: 0, peerInfo: undefined, optionsString: string } },
      server: { settings: { optionsString: serverString } },
    });
    world.connect();
    expect(world.client.all('pull')[0]?.options).toHaveLength(2);
    expect(world.client.multi.negotiated).toMatchObject({ cipher: 'AES-128-GCM', peerId: undefined });
    expectTraffic(world);
  });

  test('long lists of options come whole, in parts', () => {
    const world = new World();
    const routes = Array.from({ length: 200 }, (_, i) => `route 10.${i}.0.0 255.255.0.0`);
    world.server.push = routes;
    world.connect();
    expect(world.client.all('pull')).toHaveLength(1);
    expect(world.client.all('pull')[0]?.options.slice(0, 200)).toEqual(routes);
    expect(world.client.logged('push.received').length).toBeGreaterThan(4);
  });

  test('point to point they settle without a push', () => {
    const p2p = { multi: { mode: 'p2p' } } as const;
    const world = new World({ client: p2p, server: p2p });
    world.connect();
    expect(world.client.multi.negotiated).toEqual(world.server.multi.negotiated);
    expect(world.client.multi.negotiated).toMatchObject({ cipher: 'AES-256-GCM', keyDerivation: 'tls-ekm' });
    expect(world.client.multi.negotiated?.peerId).not.toBe(5);
    expectTraffic(world);
  });
});

test('point to point either may begin, or both at once', () => {
  const p2p = { multi: { mode: 'p2p' } } as const;
  const world = new World({ client: p2p, server: p2p });
  world.start();
  world.server.run(world.server.multi.start(world.clock.now()));
  world.clock.advanceBy(2000);
  expectTraffic(world);

  const backwards = new World({ client: p2p, server: p2p });
  backwards.server.run(backwards.server.multi.start(backwards.clock.now()));
  backwards.clock.advanceBy(5000);
  expectTraffic(backwards);
});

describe('a server decides', () => {
  test('while it is undecided nothing is pushed, however often the client asks', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(30_000);
    expect(world.server.all('verify')).toHaveLength(1);
    expect(world.client.logged('control.sent').length).toBeGreaterThan(4);
    expect([...world.server.all('push-request'), ...world.server.all('install-keys')]).toEqual([]);
    expect(world.client.all('pull')).toEqual([]);
    const { requestId } = world.server.all('verify')[0]!;
    // An answer to no request changes nothing.
    world.server.run(world.server.multi.handleVerdict(world.clock.now(), requestId + 1, { type: 'accept' }));
    expect(world.server.all('push-request')).toEqual([]);
    world.server.automatic = true;
    world.server.run(world.server.multi.handleVerdict(world.clock.now(), requestId, { type: 'accept' }));
    expect(world.server.all('push-request')).toHaveLength(1);
    world.clock.advanceBy(6000);
    expectTraffic(world);
  });

  test('one that never decides gives the client up after the hand window', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(59_000);
    expect(world.server.all('session-lost')).toEqual([]);
    world.clock.advanceBy(3000);
    expect(world.server.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'not-connected' }]);
  });

  test('with AUTH_PENDING both wait longer', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(1000);
    world.server.run(world.server.multi.authPending(world.clock.now(), 300, 'WEB_AUTH::https://example.net'));
    world.clock.advanceBy(200_000);
    expect([...world.server.all('session-lost'), ...world.client.all('session-lost')]).toEqual([]);
    expect(world.client.all('control-message').map(({ message }) => message.type)).toEqual([
      'AUTH_PENDING',
      'INFO_PRE',
    ]);
    world.server.automatic = true;
    const { requestId } = world.server.all('verify')[0]!;
    world.server.run(world.server.multi.handleVerdict(world.clock.now(), requestId, { type: 'accept' }));
    world.clock.advanceBy(6000);
    expectTraffic(world);
  });

  test('a refused client hears why, gets nothing, and is gone five seconds later whatever it does', () => {
    const world = new World({
      client: { settings: { credentials: { username: 'alice', password: 'wrong' } } },
      server: { automatic: false },
    });
    world.start();
    world.clock.advanceBy(1000);
    const request = world.server.all('verify')[0]!;
    expect(request).toMatchObject({ username: 'alice', password: 'wrong', renegotiation: false });
    const verdict = { type: 'reject', reason: 'no\nsuch user' } as const;
    world.server.run(world.server.multi.handleVerdict(world.clock.now(), request.requestId, verdict));
    const refusedAt = world.clock.now();
    world.clock.advanceBy(100);
    expect(world.client.all('auth-failed')[0]?.message.failure.reason).toBe('no such user');
    for (let second = 1; second < 5; second++) {
      world.clock.advanceTo(refusedAt + second * 1000);
      world.server.run(world.server.multi.scheduleExit(world.clock.now()));
      world.server.run(world.server.multi.authFailed(world.clock.now(), 'again'));
      world.server.run(world.server.multi.handleVerdict(world.clock.now(), request.requestId, { type: 'accept' }));
      expect(world.server.all('exit')).toEqual([]);
    }
    world.clock.advanceTo(refusedAt + 5000);
    expect(world.server.all('exit')).toEqual([{ type: 'exit', reason: 'auth-failed' }]);
    expect([...world.server.all('push-request'), ...world.server.all('install-keys')]).toEqual([]);
    expect(world.server.multi.nextTimeout()).toBe(Number.POSITIVE_INFINITY);
  });

  test('without a common cipher the client is refused with the reason', () => {
    const world = new World({
      client: { settings: { dataCiphers: ['AES-128-CBC'] } },
      server: { settings: { dataCiphers: ['AES-256-GCM'] } },
    });
    world.start();
    world.clock.advanceBy(2000);
    expect(world.client.all('auth-failed')[0]?.message.failure.reason).toBe(
      'Data channel cipher negotiation failed (no shared cipher)',
    );
    expect(world.server.all('install-keys')).toEqual([]);
  });

  test('a client that announces nothing gets the fallback, and only that one', () => {
    const silent = { ivProto: 0, peerInfo: undefined };
    const fallback = { fallbackCipher: 'AES-256-CBC' };
    const world = new World({ client: { settings: { ...silent, ...fallback } }, server: { settings: fallback } });
    world.connect();
    expect(world.server.multi.negotiated?.cipher).toBe('AES-256-CBC');
    const loud = new World({
      client: { settings: { dataCiphers: ['AES-128-CBC'], ...fallback } },
      server: { settings: fallback },
    });
    loud.start();
    loud.clock.advanceBy(2000);
    expect(loud.client.all('auth-failed')).toHaveLength(1);
  });

  test('a reply that was sent is repeated for a client that asks again, seldom', () => {
    const world = new World();
    world.connect();
    const replies = (): number =>
      world.server.logged('control.sent').filter(({ text }) => String(text).startsWith('PUSH_REPLY')).length;
    expect(replies()).toBe(1);
    for (let i = 0; i < 1000; i++)
      world.client.run(world.client.multi.sendControlMessage(world.clock.now(), 'PUSH_REQUEST'));
    world.clock.advanceBy(10_000);
    expect(replies()).toBe(1);
    world.clock.advanceBy(30_000);
    world.client.run(world.client.multi.sendControlMessage(world.clock.now(), 'PUSH_REQUEST'));
    world.clock.advanceBy(1000);
    expect(replies()).toBe(2);
    expect(world.client.all('pull').map(({ first }) => first)).toEqual([true, false]);
  });
});

describe('a client', () => {
  test('does not send its password to a server with the wrong name', () => {
    const world = new World({
      client: {
        settings: {
          credentials: { username: 'alice', password: 'secret' },
          peerPolicy: { requireCertificate: true, name: { kind: 'name', value: 'other' } },
        },
      },
    });
    world.start();
    world.clock.advanceBy(2000);
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'verification-failed' }]);
    expect(world.server.all('verify')).toEqual([]);
    world.client.multi.close();
  });

  test('whose engine does not trust the server is lost, and says so', () => {
    const world = new World({
      client: { tls: { verify: () => ({ depth: 0, error: 'certificate has expired', subject: 'CN=server' }) } },
    });
    world.start();
    world.clock.advanceBy(2000);
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'verification-failed' }]);
    expect(world.client.logged('verify.error')).toEqual([
      { depth: 0, error: 'certificate has expired', subject: 'CN=server' },
    ]);
  });

  test('gives up after the hand window when nobody answers, not before', () => {
    const world = new World({ conditions: BLACKHOLE });
    world.start();
    world.clock.advanceBy(59_999);
    expect(world.client.all('session-lost')).toEqual([]);
    world.clock.advanceBy(1);
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'handshake-timeout' }]);
    expect(world.client.logged('tls.handshake-timeout')).toEqual([{ seconds: 60, keyId: 0 }]);
  });

  test('gives up asking when the server falls silent', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(1000);
    world.conditions = BLACKHOLE;
    world.clock.advanceBy(61_000);
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'no-push-reply' }]);
  });

  test.each([
    ['a cipher that it does not allow', 'cipher BF-CBC'],
    ['epoch keys for a cipher that is no AEAD', 'cipher AES-256-CBC'],
    ['an unknown flag', 'protocol-flags cc-exit tls-ekm teleport'],
    ['an unknown derivation', 'key-derivation magic'],
    ['a peer id that is none', 'peer-id 99999999'],
  ])('refuses a push with %s', (_name, option) => {
    const world = new World({ client: { automatic: false } });
    world.start();
    world.clock.advanceBy(2000);
    const pull = world.client.all('pull')[0]!;
    world.client.run(world.client.multi.completePull(world.clock.now(), readPulledOptions([...pull.options, option])));
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'negotiation-failed' }]);
    expect(world.client.all('install-keys')).toEqual([]);
  });

  test('takes the same push without the addition', () => {
    const world = new World({ client: { automatic: false } });
    world.start();
    world.clock.advanceBy(2000);
    const pull = world.client.all('pull')[0]!;
    world.client.run(world.client.multi.completePull(world.clock.now(), readPulledOptions(pull.options)));
    expect(world.client.all('connected')).toHaveLength(1);
  });

  test('refuses flags that it has not announced', () => {
    const world = new World({ client: { automatic: false, settings: { ivProto: ALL & ~IV_PROTO_TLS_KEY_EXPORT } } });
    world.start();
    world.clock.advanceBy(2000);
    const pulled = readPulledOptions(['cipher AES-256-GCM', 'key-derivation tls-ekm']);
    world.client.run(world.client.multi.completePull(world.clock.now(), pulled));
    expect(world.client.all('session-lost')).toHaveLength(1);
  });
});

describe('control messages', () => {
  test('EXIT ends a client at once and a server’s instance after five seconds', () => {
    const world = new World();
    world.connect();
    world.server.run(world.server.multi.notifyExit(world.clock.now()).actions);
    world.clock.advanceBy(100);
    expect(world.client.all('exit')).toEqual([{ type: 'exit', reason: 'remote-exit' }]);

    const other = new World();
    other.connect();
    const { handled, actions } = other.client.multi.notifyExit(other.clock.now());
    expect(handled).toBe(true);
    other.client.run(actions);
    other.clock.advanceBy(4900);
    expect(other.server.all('exit')).toEqual([]);
    other.clock.advanceBy(200);
    expect(other.server.all('exit')).toEqual([{ type: 'exit', reason: 'remote-exit' }]);
  });

  test('without the flag the data channel has to say EXIT', () => {
    const world = new World({ client: { settings: { ivProto: ALL & ~IV_PROTO_CC_EXIT_NOTIFY } } });
    expect(world.client.multi.notifyExit(0).handled).toBe(false);
    world.connect();
    expect(world.client.multi.notifyExit(world.clock.now()).handled).toBe(false);
  });

  test('RESTART and HALT move a client and leave a server alone', () => {
    const world = new World();
    world.connect();
    for (const text of ['RESTART', 'HALT', 'AUTH_FAILED', 'INFO,hello']) {
      world.client.run(world.client.multi.sendControlMessage(world.clock.now(), text));
    }
    world.clock.advanceBy(6000);
    expect(world.server.actions.at(-1)?.type).toBe('connected');
    world.server.run(world.server.multi.sendControlMessage(world.clock.now(), 'INFO,hello'));
    world.server.run(world.server.multi.sendControlMessage(world.clock.now(), 'RESTART,[PN]come again'));
    world.server.run(world.server.multi.sendControlMessage(world.clock.now(), 'HALT'));
    world.clock.advanceBy(100);
    expect(world.client.all('control-message')[0]?.message).toEqual({ type: 'INFO', text: 'hello' });
    expect(world.client.all('restart')[0]?.message).toMatchObject({ keepPassword: true, nextServer: true });
    expect(world.client.all('exit')).toEqual([]);
  });

  test('a message that is said too early waits, and too many do not pile up', () => {
    const world = new World();
    world.start();
    world.clock.advanceBy(1);
    for (let i = 0; i < 100; i++)
      world.client.run(world.client.multi.sendControlMessage(world.clock.now(), `CR_RESPONSE,${i}`));
    world.clock.advanceBy(3000);
    expect(world.server.all('control-message')).toHaveLength(64);
    expect(world.client.logged('control.queue-full')).toHaveLength(36);
    expect(world.client.logged('control.sent')[0]).toMatchObject({ text: 'CR_RESPONSE,[…]' });
  });
});

test('an engine that works asynchronously makes no difference', () => {
  const pending: (() => void)[] = [];
  const world = new World({
    client: { tls: { defer: (appear) => void pending.push(appear) } },
    server: { tls: { defer: (appear) => void pending.push(appear), certificates: [fakeCertificate('server')] } },
  });
  world.start();
  for (let i = 0; i < 200 && !world.connected; i++) {
    for (const appear of pending.splice(0)) appear();
    world.clock.advanceBy(50);
  }
  expect(world.connected).toBe(true);
});

test('no packet is larger than allowed', () => {
  const world = new World({ wrapped: true });
  let largest = 0;
  world.filter = (_from, packet) => {
    if (opcodeOf(packet[0]!) === P_CONTROL_V1) largest = Math.max(largest, packet.length);
    return true;
  };
  world.connect();
  expect(largest).toBeGreaterThan(1000);
  expect(largest).toBeLessThanOrEqual(1250 - 28);
});
