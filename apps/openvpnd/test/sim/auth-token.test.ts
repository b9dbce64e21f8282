import { isAuthToken } from '@openvpnd/control-processor';
import { describe, expect, test } from 'vitest';
import type { PasswordAnswer } from '../../src/host/password-program.js';
import type { SimClient, SimClientOptions } from './sim-client.js';
import type { PasswordQuestion } from './sim-peer.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';

const VERIFY = ['auth-user-pass-verify /bin/verify via-file', 'hand-window 10'];
const TOKENS = [...VERIFY, 'reneg-sec 30', 'auth-gen-token 0 30'];
const ALICE = { username: 'alice', password: 'secret' };
/** 128 bytes of no value. */
const SECRET = [
  '<auth-gen-token-secret>',
  '-----BEGIN OpenVPN auth-token server key-----',
  Buffer.alloc(128, 0x17).toString('base64'),
  '-----END OpenVPN auth-token server key-----',
  '</auth-gen-token-secret>',
];

interface Scene {
  readonly world: SimWorld;
  readonly server: SimServer;
  readonly client: SimClient;
  /** What the program was asked. */
  readonly asked: PasswordQuestion[];
}

function scene(
  config: readonly string[],
  settings: SimClientOptions = { login: ALICE },
  judge: (question: PasswordQuestion) => PasswordAnswer | undefined = ({ username, password }) =>
    username === 'alice' && password === 'secret' ? { type: 'admitted' } : { type: 'refused', reason: undefined },
): Scene {
  const world = new SimWorld({ seed: 1, conditions: { delayMs: 10 } });
  const asked: PasswordQuestion[] = [];
  const server = world.server({
    config,
    passwords: (question) => {
      asked.push(question);
      return judge(question);
    },
  });
  return { world, server, client: world.client('client', settings), asked };
}

function connected(set: Scene): Scene {
  set.world.until('connected', () => set.client.connected && set.server.connected === 1, 15);
  return set;
}

describe('user name and password', () => {
  test('are judged for each key, and what the program is told of is the client', () => {
    const set = connected(scene(['reneg-sec 20', ...VERIFY]));
    set.world.advanceSeconds(50);
    expect(set.asked.length).toBeGreaterThanOrEqual(3);
    for (const { username, password, environment } of set.asked) {
      expect([username, password]).toEqual(['alice', 'secret']);
      expect(environment).toMatchObject({ common_name: 'client', IV_PLAT: 'linux', untrusted_ip: expect.any(String) });
      expect(environment).not.toHaveProperty('session_state');
    }
    expect(set.client.signals).toEqual([]);
    expect(set.server.run.tunnel.status()[0]?.username).toBe('alice');
  });

  test('that are wrong, missing or too long are refused, and the client is told', () => {
    const wrong = scene(VERIFY, { login: { ...ALICE, password: 'wrong' } });
    const none = scene(VERIFY, {});
    for (const { world, client, server } of [wrong, none]) {
      world.until('refused', () => client.signals.length > 0, 15);
      expect(client.signals[0]).toMatchObject({ signal: 'SIGTERM', text: 'auth-failure' });
      expect(client.connectedAt).toEqual([]);
      world.advanceSeconds(10);
      expect(server.modules.tunnel.population.all).toBe(0);
    }
    expect([wrong.asked.length, none.asked.length]).toEqual([1, 0]);
  });

  test('with control characters reach no program as they are', () => {
    const set = scene(VERIFY, { login: { username: 'al\nice', password: 'x\r\u007f' } });
    set.world.until('refused', () => set.client.signals.length > 0, 15);
    expect(set.asked[0]).toMatchObject({ username: 'al_ice', password: 'x__' });
  });

  test.each([
    ['TEMP[backoff 3,advance no]:later', 'auth-temp-failure (server temporary reject)'],
    ['CRV1:R,E:c3RhdGU=:YWxpY2U=:Enter PIN', 'auth-failure'],
    ['go\naway', 'auth-failure'],
  ])('are refused with a reason: %j', (reason, text) => {
    const set = scene(VERIFY, { login: ALICE }, () => ({ type: 'refused', reason }));
    set.world.until('refused', () => set.client.signals.length > 0, 15);
    expect(set.client.signals[0]).toMatchObject({ text });
    const [{ fields }] = set.world.journal.of('client.auth-failed', 'client');
    expect(fields.text).toBe(`AUTH_FAILED,${reason.replace('\n', ' ')}`);
  });

  test('undecided are no: nothing is pushed, and the client is given up', () => {
    const set = scene(VERIFY, { login: ALICE }, () => undefined);
    set.world.advanceSeconds(9);
    expect(set.client.connected).toBe(false);
    expect(set.asked[0]?.isOpen()).toBe(true);
    set.world.until('given up', () => set.server.modules.tunnel.population.all === 0, 30);
    expect(set.client.connectedAt).toEqual([]);
    expect(set.asked[0]?.isOpen()).toBe(false);
    // Too late.
    if (set.asked[0]) set.server.answer(set.asked[0], { type: 'admitted' });
    set.world.advanceSeconds(1);
    expect(set.client.connectedAt).toEqual([]);
  });

  test('may take longer where the program says so, and the client is told', () => {
    const set = scene(VERIFY, { login: ALICE, config: ['hand-window 10'] }, () => undefined);
    const { world, server, client, asked } = set;
    world.until('asked', () => asked.length > 0, 5);
    const [question] = asked;
    if (question === undefined) throw new Error('nobody was asked');
    const pending = { timeoutSeconds: 60, method: 'webauth', info: 'WEB_AUTH::https://example.org/' };
    server.run.execute(server.run.tunnel.handlePasswordPending(world.clock.now(), question.questionId, pending));
    world.advanceSeconds(40);
    expect(client.signals).toEqual([]);
    expect(world.journal.of('control.info-received', 'client')[0]?.fields).toEqual({ text: pending.info });
    expect(world.journal.of('control.auth-pending', 'client')[0]?.fields).toMatchObject({ toSeconds: 60 });
    expect(question.isOpen()).toBe(true);
    server.answer(question, { type: 'admitted' });
    world.until('connected', () => client.connected, 5);
  });
});

describe('auth-gen-token', () => {
  test('the password is asked for once, a token stands for it then, and is renewed with each key', () => {
    const set = connected(scene(TOKENS));
    const { world, client, asked } = set;
    const tokens = new Set<string>();
    for (let round = 0; round < 6; round += 1) {
      world.advanceSeconds(31);
      tokens.add(client.login?.password ?? '');
    }
    expect(asked).toHaveLength(1);
    expect(tokens.size).toBe(6);
    for (const token of tokens) expect(isAuthToken(token)).toBe(true);
    expect(client.login?.username).toBe('alice');
    expect(client.signals).toEqual([]);
    expect(world.journal.of('server.token-accepted', 'server').length).toBeGreaterThanOrEqual(5);
  });

  test('is pushed more often than keys are renewed where that is asked for', () => {
    const set = connected(scene([...VERIFY, 'auth-gen-token 0 20', 'reneg-sec 3600']));
    const first = set.client.login?.password;
    set.world.advanceSeconds(21);
    const second = set.client.login?.password;
    expect(isAuthToken(second ?? '')).toBe(true);
    expect(second).not.toBe(first);
    set.world.advanceSeconds(200);
    expect(set.world.journal.of('tls.soft-reset')).toEqual([]);
    // A token that is renewed in time is always good.
    set.client.signal('SIGUSR1');
    set.world.until('connected', () => set.client.connectedAt.length === 2, 20);
    expect(set.asked).toHaveLength(1);
  });

  test('serves for the next connection, to a server that has its secret', () => {
    const set = connected(scene([...TOKENS, ...SECRET, 'keepalive 2 8']));
    const { world, server, client, asked } = set;
    server.kill();
    server.start();
    world.until('connected again', () => client.connectedAt.length === 2 && server.connected === 1, 100);
    expect(asked).toHaveLength(1);
    expect(client.signals.map(({ text }) => text)).toEqual(['ping-restart']);
  });

  test('of a server that has forgotten its secret is given up for the password', () => {
    const set = connected(scene(TOKENS));
    const { world, server, client, asked } = set;
    server.kill();
    server.start();
    world.until('connected again', () => client.connectedAt.length === 2 && server.connected === 1, 100);
    expect(client.signals.map(({ text }) => text)).toEqual(['ping-restart', 'auth-failure (auth-token)']);
    expect(asked.map(({ password }) => password)).toEqual(['secret', 'secret']);
  });

  test('expires, and the client is told to use its password', () => {
    const set = connected(scene([...TOKENS, ...SECRET]));
    const { world, client, asked } = set;
    const { name } = client;
    client.kill();
    world.advanceSeconds(100);
    client.start();
    world.until('connected again', () => client.connected, 30);
    expect(client.signals.map(({ text }) => text)).toEqual(['auth-failure (auth-token)']);
    const [{ fields }] = world.journal.of('client.auth-failed', name);
    expect(fields.text).toBe('AUTH_FAILED,SESSION: token expired');
    expect(asked).toHaveLength(2);
  });

  test('has a lifetime that no renewal prolongs', () => {
    const set = connected(scene([...VERIFY, 'reneg-sec 30', 'auth-gen-token 100 30']));
    const { world, client, asked } = set;
    world.until('refused', () => client.signals.length > 0, 200);
    expect(client.signals[0]).toMatchObject({ text: 'auth-failure (auth-token)' });
    world.until('connected', () => client.connected, 20);
    expect(asked).toHaveLength(2);
  });

  test('of somebody else does not do, and neither does a changed one', () => {
    const set = connected(scene([...TOKENS, ...SECRET]));
    const { world, asked } = set;
    const token = set.client.login?.password ?? '';
    const thief = world.client('thief', { login: { username: 'bob', password: token } });
    const forger = world.client('forger', { login: { username: 'alice', password: `${token.slice(0, -1)}A` } });
    world.until('refused', () => thief.signals.length > 0 && forger.signals.length > 0, 20);
    expect([thief.connectedAt, forger.connectedAt]).toEqual([[], []]);
    expect(asked).toHaveLength(1);
    // In the right name it is as good as the password.
    const friend = world.client('friend', { login: { username: 'alice', password: token } });
    world.until('connected', () => friend.connected, 20);
    expect(asked).toHaveLength(1);
  });

  test('with external-auth the program decides, and hears how the token stands', () => {
    const set = connected(
      scene([...VERIFY, 'reneg-sec 30', 'auth-gen-token 0 30 external-auth'], { login: ALICE }, ({ environment }) =>
        environment.session_state === 'Initial' || environment.session_state === 'Authenticated'
          ? { type: 'admitted' }
          : { type: 'refused', reason: undefined },
      ),
    );
    set.world.advanceSeconds(100);
    const states = set.asked.map(({ environment }) => environment.session_state);
    expect(states[0]).toBe('Initial');
    expect(states.length).toBeGreaterThanOrEqual(3);
    expect(new Set(states.slice(1))).toEqual(new Set(['Authenticated']));
    expect(new Set(set.asked.map(({ environment }) => environment.session_id)).size).toBe(1);
    expect(set.client.signals).toEqual([]);
  });
});
