import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { BLACKHOLE } from '@openvpnd/testkit';
import { nextKeyId, P_CONTROL_SOFT_RESET_V1 } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { type ControlSettings, ownIvProto } from '../src/index.js';
import { World } from './two-peers.js';

const PATH = { delayMs: 20, jitterMs: 5 };
/** The path of the long run in the project's list of goals. */
const ROUGH = {
  delayMs: 20,
  jitterMs: 20,
  loss: 1 / 16,
  duplicate: 1 / 32,
  reorder: 1 / 8,
  reorderMs: 60,
  corrupt: 1 / 32,
};

function renegotiations(world: World): number {
  return world.client.all('install-keys').length - 1;
}

describe('renegotiation loses no packet', () => {
  const cases: [string, Partial<ControlSettings>, Partial<ControlSettings>][] = [
    ['asked for by the server every 4 s', {}, { renegMs: 4000 }],
    ['asked for by the client every 3 s', { renegMs: 3000 }, {}],
    ['asked for by both in the same instant', { renegMs: 3000 }, { renegMs: 3000, renegMinMs: 3000 }],
    ['without dynamic tls-crypt', { renegMs: 3000, ivProto: 414 & ~8 }, {}],
  ];
  test.each(cases)('%s', (_name, client, server) => {
    const world = new World({ seed: 7, conditions: PATH, client: { settings: client }, server: { settings: server } });
    world.connect();
    const begin = world.clock.now();
    world.clock.advanceBy(1000);
    world.traffic(5, begin + 60_000);
    world.clock.advanceTo(begin + 61_000);
    expect(renegotiations(world)).toBeGreaterThan(12);
    expect(world.client.undecipherable + world.server.undecipherable).toBe(0);
    expect(world.client.received).toBe(world.server.sent);
    expect(world.server.received).toBe(world.client.sent);
    expect(world.client.sent).toBeGreaterThan(11_000);
    // Key ids run 1 … 7 and start again at 1.
    const ids = world.client.all('install-keys').map(({ keyId }) => keyId);
    expect(ids).toEqual(ids.map((_, i) => (i === 0 ? 0 : nextKeyId(ids[i - 1]!))));
  });

  test('by count of bytes, from the data channel, and only one at a time', () => {
    const world = new World({ conditions: PATH });
    world.connect();
    world.clock.advanceBy(2000);
    for (let i = 0; i < 10; i++) world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    expect(world.client.logged('tls.soft-reset')).toMatchObject([{ reason: 'bytes', keyId: 1 }]);
    world.clock.advanceBy(2000);
    expect(renegotiations(world)).toBe(1);
  });

  test('a peer that has used the new key is answered with it', () => {
    const world = new World({ conditions: PATH });
    world.connect();
    world.clock.advanceBy(2000);
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(500);
    expect(world.server.keys.has(1)).toBe(true);
    expect(world.server.sendingWith).toBe(0);
    // One under the old key proves nothing.
    world.server.run(world.server.multi.handleKeyInUse(world.clock.now(), 0));
    expect(world.server.sendingWith).toBe(0);
    world.server.run(world.server.multi.handleKeyInUse(world.clock.now(), 1));
    expect(world.server.sendingWith).toBe(1);
  });

  test('the old key is sent with until the hand window is over, and opens packets until the transition window is', () => {
    const settings = { tranWindowMs: 600_000, renegMs: 0 };
    const world = new World({ conditions: PATH, client: { settings }, server: { settings } });
    world.connect();
    world.clock.advanceBy(1_000_000);
    const begin = world.clock.now();
    world.client.run(world.client.multi.renegotiate(begin, 'bytes'));
    world.clock.advanceTo(begin + 59_000);
    expect([world.client.sendingWith, world.server.sendingWith]).toEqual([0, 0]);
    world.clock.advanceTo(begin + 61_000);
    expect([world.client.sendingWith, world.server.sendingWith]).toEqual([1, 1]);
    world.clock.advanceTo(begin + 599_000);
    expect([...world.client.keys.keys()]).toEqual([0, 1]);
    world.clock.advanceTo(begin + 601_000);
    expect([...world.client.keys.keys()]).toEqual([1]);
    expect([...world.server.keys.keys()]).toEqual([1]);
  });
});

describe('over hours on a bad path', () => {
  test.each([1, 2, 3])('nobody gets stuck and every packet that arrives opens (seed %i)', (seed) => {
    const world = run(seed, 3 * 3_600_000);
    expect(renegotiations(world)).toBeGreaterThan(160);
    expect(world.client.undecipherable + world.server.undecipherable).toBe(0);
    for (const peer of [world.client, world.server]) {
      expect(peer.actions.some(({ type }) => type === 'session-lost' || type === 'exit')).toBe(false);
      expect(peer.keys.size).toBeLessThanOrEqual(3);
    }
    expect(world.server.received / world.client.sent).toBeGreaterThan(0.85);
  });

  test('the same seed gives the same run', () => {
    const story = (): string => {
      const world = run(5, 600_000);
      return JSON.stringify([world.client.events, world.server.events, world.client.received, world.server.received]);
    };
    expect(story()).toBe(story());
  });

  function run(seed: number, ms: number): World {
    const world = new World({ seed, wrapped: true, conditions: ROUGH, server: { settings: { renegMs: 60_000 } } });
    world.connect();
    const until = world.clock.now() + ms;
    world.clock.advanceBy(1000);
    world.traffic(1000, until);
    world.clock.advanceTo(until + 1000);
    return world;
  }
});

describe('a renegotiation that fails', () => {
  test('is the end of a client and not of a server, whose lame duck lives on', () => {
    const settings = { tranWindowMs: 200_000 };
    const world = new World({ conditions: PATH, client: { settings }, server: { settings } });
    world.connect();
    world.clock.advanceBy(5000);
    world.conditions = BLACKHOLE;
    const begin = world.clock.now();
    world.client.run(world.client.multi.renegotiate(begin, 'bytes'));
    world.server.run(world.server.multi.renegotiate(begin, 'bytes'));
    world.clock.advanceTo(begin + 60_500);
    expect(world.client.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'handshake-timeout' }]);
    expect(world.server.all('session-lost')).toEqual([]);
    expect(world.server.sendingWith).toBe(0);
    world.clock.advanceTo(begin + 200_500);
    expect(world.server.all('session-lost')).toEqual([{ type: 'session-lost', reason: 'keys-expired' }]);
    expect([...world.server.keys.keys()]).toEqual([]);
  });

  test('does not leave both waiting when the last acknowledgement of the one before was lost', () => {
    const world = new World({ conditions: PATH });
    world.connect();
    world.clock.advanceBy(2000);
    // The client hears nothing of key 1 being acknowledged at the server's end: the server stays below S_ACTIVE.
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceUntil(() => world.client.keys.has(1), world.clock.now() + 5000);
    world.filter = (from) => from !== world.client;
    world.clock.advanceBy(1000);
    world.filter = () => true;
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.clock.advanceBy(10_000);
    expect(world.client.keys.has(2)).toBe(true);
    expect(world.server.keys.has(2)).toBe(true);
  });
});

describe('two points of which one renegotiates before it has acknowledged the first key exchange', () => {
  const p2p = (renegMs: number) => ({ settings: { renegMs }, multi: { mode: 'p2p' } }) as const;

  test.each(['client', 'server'] as const)('meet all the same, the %s renegotiates', (early) => {
    const changes = { [early]: p2p(3000), [early === 'client' ? 'server' : 'client']: p2p(0) };
    const world = new World({ conditions: PATH, ...changes });
    const [hasty, other] = [world[early], world.other(world[early])];
    let begun = false;
    // What it would say under the first key is lost from the moment that it has its own keys.
    world.filter = (from, packet) => {
      begun ||= packet[0]! >> 3 === P_CONTROL_SOFT_RESET_V1;
      return begun || from !== hasty || !hasty.multi.connected;
    };
    world.start();
    world.server.run(world.server.multi.start(world.clock.now()));
    world.clock.advanceUntil(() => begun, world.clock.now() + 10_000);
    expect(begun).toBe(true);
    const renegotiated = world.clock.now();
    world.clock.advanceUntil(() => world.connected, renegotiated + 60_000);
    expect(world.connected).toBe(true);
    expect(world.clock.now() - renegotiated).toBeLessThan(5000);
    world.clock.advanceBy(5000);
    expect([hasty.keys.has(1), other.keys.has(1)]).toEqual([true, true]);
  });

  test('meet on a path that loses, whenever the second one comes', () => {
    for (let seed = 1; seed <= 100; seed += 1) {
      const world = new World({ seed, conditions: { ...PATH, loss: 0.2 }, client: p2p(3000), server: p2p(0) });
      world.filter = (from) => from === world.server;
      world.start();
      world.clock.advanceBy((seed % 40) * 137);
      world.filter = () => true;
      world.server.run(world.server.multi.start(world.clock.now()));
      world.clock.advanceUntil(() => world.connected, world.clock.now() + 60_000);
      expect(world.connected, `seed ${seed}`).toBe(true);
    }
  });
});

describe('a soft reset', () => {
  test('before the first keys exist is refused', () => {
    const world = new World({ server: { automatic: false } });
    world.start();
    world.clock.advanceBy(2000);
    const before = world.server.logged('tls.soft-reset-received').length;
    world.client.run(world.client.multi.renegotiate(world.clock.now(), 'bytes'));
    world.server.receive(softReset(clientSessionId(world), 1));
    world.clock.advanceBy(2000);
    expect(world.server.logged('tls.soft-reset-received')).toHaveLength(before);
    expect(world.server.logged('tls.soft-reset-refused')).toEqual([{ reason: 'not established', keyId: 1 }]);
  });

  test('is taken for the next key id only, and not more than once a second', () => {
    // Without dynamic tls-crypt: with it, nobody else can send a packet of a renegotiation.
    const plain = { settings: { ivProto: ownIvProto('p2mp', { exporter: false }) } };
    const world = new World({ client: plain, server: plain });
    world.connect();
    const received = (): number => world.server.logged('tls.soft-reset-received').length;
    const id = clientSessionId(world);
    world.server.receive(softReset(id, 1));
    expect(world.server.logged('tls.soft-reset-refused')).toEqual([{ reason: 'too early', keyId: 1 }]);
    world.clock.advanceBy(2000);
    for (const keyId of [0, 2, 3, 7]) world.server.receive(softReset(id, keyId));
    expect(received()).toBe(0);
    world.server.receive(softReset(id, 1));
    expect(received()).toBe(1);
    for (let i = 0; i < 100; i++) world.server.receive(softReset(id, (i % 7) + 1));
    expect(received()).toBe(1);
    expect(world.server.sendingWith).toBe(0);
  });

  /** Forged in the name of the client, on a path without wrapping. */
  function softReset(sessionId: Uint8Array, keyId: number): Uint8Array {
    const packet = new Uint8Array(14);
    packet[0] = (P_CONTROL_SOFT_RESET_V1 << 3) | keyId;
    packet.set(sessionId, 1);
    return packet;
  }
});

/** Makes the client say something and reads its session id off the packet. */
function clientSessionId(world: World): Uint8Array {
  let id: Uint8Array | undefined;
  const { filter } = world;
  world.filter = (from, packet) => {
    if (from === world.client) id = packet.slice(1, 9);
    return true;
  };
  world.client.run(world.client.multi.sendControlMessage(world.clock.now(), 'INFO,x'));
  world.clock.advanceBy(100);
  world.filter = filter;
  if (!id) throw new Error('the client said nothing');
  return id;
}

test('the heap stays flat over a thousand renegotiations', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const world = new World({ wrapped: true, server: { settings: { renegMs: 60_000 } } });
  for (const peer of [world.client, world.server]) peer.remembers = false;
  world.connect();
  const used = (): number => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  world.clock.advanceBy(200 * 60_000);
  const before = used();
  world.clock.advanceBy(1000 * 60_000);
  expect(used() - before).toBeLessThan(1024 * 1024);
  expect(world.client.keys.size).toBeLessThanOrEqual(3);
});
