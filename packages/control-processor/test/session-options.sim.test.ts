import { IV_PROTO_AUTH_PENDING_KW } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { type ControlSettings, ownIvProto } from '../src/index.js';
import { World } from './two-peers.js';

/** When the first renegotiation begins, counted from the instant when the key was established; undefined: not within three intervals. */
function firstRenegotiation(seed: number, client: Partial<ControlSettings>, server: Partial<ControlSettings>) {
  const world = new World({ seed, client: { settings: client }, server: { settings: server } });
  world.connect();
  const begin = world.clock.now();
  const begun = (): boolean => [world.client, world.server].some((peer) => peer.logged('tls.soft-reset').length > 0);
  if (!world.clock.advanceUntil(begun, begin + 3_000_000)) return undefined;
  const who = world.server.logged('tls.soft-reset').length > 0 ? 'server' : 'client';
  return { who, afterMs: world.clock.now() - begin };
}

describe('reneg-sec', () => {
  const seeds = Array.from({ length: 30 }, (_, index) => index + 1);

  test('of a server is up to a tenth shorter, another time for each client', () => {
    const found = seeds.map((seed) => firstRenegotiation(seed, { renegMs: 0 }, { renegMs: 1_000_000 }));
    const times = found.map((one) => one?.afterMs ?? 0);
    expect(Math.min(...times)).toBeGreaterThan(899_000);
    expect(Math.max(...times)).toBeLessThanOrEqual(1_000_500);
    expect(Math.max(...times) - Math.min(...times)).toBeGreaterThan(60_000);
    expect(new Set(times.map((time) => Math.round(time / 1000))).size).toBeGreaterThan(20);
    expect(new Set(found.map((one) => one?.who))).toEqual(new Set(['server']));
  });

  test('of a client is what it says', () => {
    for (const seed of seeds.slice(0, 3)) {
      const found = firstRenegotiation(seed, { renegMs: 1_000_000 }, { renegMs: 0 });
      expect(found?.who).toBe('client');
      expect(Math.abs((found?.afterMs ?? 0) - 1_000_000)).toBeLessThan(1000);
    }
  });

  test('with a least time lies between the two, on either side', () => {
    for (const seed of seeds.slice(0, 10)) {
      const span = { renegMs: 1_000_000, renegMinMs: 500_000 };
      for (const [client, server] of [
        [span, { renegMs: 0 }],
        [{ renegMs: 0 }, span],
      ] as const) {
        const { afterMs = 0 } = firstRenegotiation(seed, client, server) ?? {};
        expect(afterMs).toBeGreaterThan(499_000);
        expect(afterMs).toBeLessThanOrEqual(1_000_500);
      }
    }
  });

  test('0 on both sides is never', () => {
    expect(firstRenegotiation(1, { renegMs: 0 }, { renegMs: 0 })).toBeUndefined();
  });
});

describe('an unanswered reset', () => {
  function sendingTimes(settings: Partial<ControlSettings>): {
    readonly times: readonly number[];
    readonly lostAt: number;
  } {
    const world = new World({ client: { settings } });
    const begin = world.clock.now();
    const times: number[] = [];
    world.filter = () => {
      times.push(world.clock.now() - begin);
      return false;
    };
    world.start();
    world.clock.advanceUntil(() => world.client.all('session-lost').length > 0, 500_000);
    return { times, lostAt: world.clock.now() - begin };
  }

  test('is sent again after tls-timeout, and given up after hand-window', () => {
    const { times, lostAt } = sendingTimes({ tlsTimeoutMs: 3000, handWindowMs: 20_000 });
    expect(times.slice(0, 4)).toEqual([0, 3000, 7000, 11_000]);
    expect(lostAt).toBe(20_000);
  });

  test('is sent again sooner where nobody set it', () => {
    const { times, lostAt } = sendingTimes({});
    expect(times.slice(0, 6)).toEqual([0, 500, 1500, 3500, 7500, 11_500]);
    expect(lostAt).toBe(60_000);
  });

  test('waits longer than the usual most where tls-timeout does', () => {
    expect(sendingTimes({ tlsTimeoutMs: 10_000 }).times.slice(0, 4)).toEqual([0, 10_000, 20_000, 30_000]);
  });
});

describe('AUTH_PENDING', () => {
  /** When a client gives up that is told to wait and then hears nothing any more. */
  function givenUpAfter(
    seconds: number,
    client: Partial<ControlSettings>,
  ): { readonly said: string; readonly afterMs: number } {
    const world = new World({
      client: { settings: { handWindowMs: 20_000, ...client } },
      server: { automatic: false },
    });
    const begin = world.clock.now();
    world.start();
    world.clock.advanceBy(500);
    const { server } = world;
    server.run(server.multi.authPending(server.now, seconds, undefined));
    world.clock.advanceBy(500);
    world.filter = () => false;
    const lost = (): boolean => world.client.all('session-lost').length > 0;
    world.clock.advanceUntil(lost, 5_000_000);
    const said = server.logged('control.sent').map(({ text }) => `${text}`);
    return { said: said.find((text) => text.startsWith('AUTH_PENDING')) ?? '', afterMs: world.clock.now() - begin };
  }

  test('prolongs the wait by what it says, up to half of reneg-sec', () => {
    expect(givenUpAfter(90, { renegMs: 400_000 })).toMatchObject({ said: 'AUTH_PENDING,timeout 90' });
    for (const [seconds, renegMs, expected] of [
      [90, 400_000, 90],
      [900, 400_000, 200],
      [900, 10_000, 20],
      [5, 400_000, 20],
    ] as const) {
      const { afterMs } = givenUpAfter(seconds, { renegMs });
      expect(Math.abs(afterMs / 1000 - expected)).toBeLessThan(3);
    }
  });

  test('has no number for clients that do not know one', () => {
    const ivProto = ownIvProto('p2mp', { exporter: true }) & ~IV_PROTO_AUTH_PENDING_KW;
    expect(givenUpAfter(90, { ivProto, renegMs: 400_000 })).toMatchObject({ said: 'AUTH_PENDING' });
  });
});
