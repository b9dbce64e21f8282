import { Secret } from '@openvpnd/sans-io';
import { SeededRandom } from '@openvpnd/testkit';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { AuthTokens, isAuthToken, parseAuthTokenKey, randomAuthTokenKey, tokenSessionText } from '../src/index.js';
import recorded from './vectors/auth_token.json' with { type: 'json' };

interface Inputs {
  readonly hmac_key?: string;
  readonly key_pem?: string;
  readonly username?: string;
  readonly session_id?: string;
  readonly initial_time?: number;
  readonly time?: number;
  readonly password?: string;
  readonly initial?: number;
  readonly renewal?: number;
  readonly lifetime?: number;
  readonly probe?: readonly number[];
}
interface Expected {
  readonly token?: string;
  readonly length?: number;
  readonly is_token?: boolean;
  readonly valid?: readonly boolean[];
  readonly session_state_values?: readonly string[];
}

const KEY = randomAuthTokenKey(new SeededRandom(7));

function tokens(changes: Partial<ConstructorParameters<typeof AuthTokens>[0]> = {}): AuthTokens {
  return new AuthTokens({
    key: KEY,
    renewalSeconds: 120,
    lifetimeSeconds: 3000,
    random: new SeededRandom(1),
    ...changes,
  });
}

function bytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
}

describe('vectors of auth_token.json', () => {
  const vectors = recorded.vectors as unknown as readonly { id: string; inputs: Inputs; expected: Expected }[];
  const run = new Set<string>();

  for (const { id, inputs, expected } of vectors) {
    test(id, () => {
      run.add(id);
      if (expected.token !== undefined) {
        const key = new Secret(bytes(inputs.hmac_key ?? ''));
        const session = { sessionId: bytes(inputs.session_id ?? ''), initialSeconds: inputs.initial_time ?? 0 };
        const { username = '', time = 0 } = inputs;
        const made = tokens({ key, lifetimeSeconds: 0 });
        expect(made.make(username, session, time)).toBe(expected.token);
        expect(expected.token).toHaveLength(expected.length ?? 91);
        expect(made.check(expected.token, username, time)).toEqual({ state: 'Authenticated', session });
        if (inputs.key_pem !== undefined) {
          const parsed = parseAuthTokenKey(inputs.key_pem);
          expect(parsed.ok && [...parsed.value.bytes]).toEqual([...key.bytes]);
        }
      } else if (expected.is_token !== undefined) {
        expect(isAuthToken(inputs.password ?? '')).toBe(expected.is_token);
      } else if (expected.valid !== undefined) {
        const { initial = 0, renewal = 0, lifetime = 0, probe = [] } = inputs;
        const made = tokens({ renewalSeconds: renewal, lifetimeSeconds: lifetime });
        const session = { ...made.open(initial), initialSeconds: initial };
        const token = made.make('bob', session, initial);
        const states = probe.map((offset) => made.check(token, 'bob', initial + offset).state);
        expect(states).toEqual(expected.valid.map((valid) => (valid ? 'Authenticated' : 'Expired')));
        // A chain of renewals lives as long as the first one may.
        for (let now = initial; now <= initial + lifetime; now += renewal) {
          expect(made.check(made.make('bob', session, now), 'bob', now).state).toBe('Authenticated');
        }
        const late = initial + lifetime + 1;
        expect(made.check(made.make('bob', session, late), 'bob', late).state).toBe('Expired');
        const endless = tokens({ renewalSeconds: renewal, lifetimeSeconds: 0 });
        expect(endless.check(endless.make('bob', session, late), 'bob', late).state).toBe('Authenticated');
      } else {
        const made = tokens();
        const [own, other] = [made.open(1000), made.open(1000)];
        const seen = new Set<string>(['Initial']);
        const state = (token: string, username: string, now: number): string => {
          const found = made.check(token, username, now, own).state;
          seen.add(found);
          return found;
        };
        expect(state(made.make('bob', own, 1000), 'bob', 1000)).toBe('Authenticated');
        expect(state(made.make('bob', other, 1000), 'bob', 1000)).toBe('Invalid');
        expect(state(made.make('bob', own, 1000), 'alice', 1000)).toBe('Invalid');
        expect(state(made.make('', own, 1000), 'alice', 1000)).toBe('AuthenticatedEmptyUser');
        expect(state(made.make('', own, 1000), 'alice', 9000)).toBe('ExpiredEmptyUser');
        expect(state(made.make('bob', own, 1000), 'bob', 9000)).toBe('Expired');
        expect([...seen].sort()).toEqual([...(expected.session_state_values ?? [])].sort());
      }
    });
  }

  test('are all run', () => expect(run.size).toBe(17));
});

describe('a token', () => {
  const made = tokens();
  const session = made.open(1000);
  const token = made.make('bob', session, 1000);

  test('of another key, of another kind or changed anywhere is invalid', () => {
    expect(tokens({ key: randomAuthTokenKey(new SeededRandom(8)) }).check(token, 'bob', 1000).state).toBe('Invalid');
    for (let index = 'SESS_ID_AT_'.length; index < token.length; index += 1) {
      const changed = `${token.slice(0, index)}${token[index] === 'A' ? 'B' : 'A'}${token.slice(index + 1)}`;
      expect(made.check(changed, 'bob', 1000).state).toBe('Invalid');
    }
    expect(made.check(token, 'bob', 1000).state).toBe('Authenticated');
  });

  test('that claims to be renewed before it was first made is no good', () => {
    const early = made.make('bob', { ...session, initialSeconds: 2000 }, 1900);
    expect(made.check(early, 'bob', 1950).state).toBe('Expired');
  });

  test('names its session for scripts', () => {
    expect(tokenSessionText(session)).toMatch(/^[A-Za-z0-9+/]{16}$/);
    expect(made.check(token, 'bob', 1000).session).toEqual(session);
  });

  test('of any text is judged without a throw', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 120 }), fc.string({ maxLength: 20 }), fc.nat(), (text, username, now) => {
        expect(made.check(text, username, now).state).toBe('Invalid');
        expect(made.check(`SESS_ID_AT_${text}`, username, now).state).toBe('Invalid');
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});

test.each([
  ['', /not found/],
  [
    '-----BEGIN OpenVPN auth-token server key-----\nAAAA\n-----END OpenVPN auth-token server key-----\n',
    /not enough data/,
  ],
  ['-----BEGIN OpenVPN auth-token server key-----\n*\n-----END OpenVPN auth-token server key-----\n', /base64/],
])('a secret file %j is refused', (text, reason) => {
  const parsed = parseAuthTokenKey(text);
  expect(parsed.ok ? '' : parsed.reason).toMatch(reason);
});
