import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emitKeyMethod2Client,
  emitKeyMethod2Server,
  parseKeyMethod2Client,
  parseKeyMethod2Server,
} from '../src/index.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const all = vectors('key_method2');

describe('real messages', () => {
  const cases = all.filter((v) => v.expected.random1);
  test.each(cases.map((v) => [v.id, v] as const))('%s', (id, { inputs, expected }) => {
    const bytes = fromHex(inputs.message);
    if (id.endsWith('-client')) {
      const message = value(parseKeyMethod2Client(bytes));
      expect(toHex(message.preMaster)).toBe(expected.pre_master);
      expect(toHex(message.random1)).toBe(expected.random1);
      expect(toHex(message.random2)).toBe(expected.random2);
      expect(message.optionsString).toBe(expected.options);
      expect(message.username).toBe(expected.username);
      expect(message.password).toBe(expected.password);
      expect(message.peerInfo).toBe(expected.peer_info);
      expect(message.credentialsTooLong).toBe(false);
      expect(toHex(emitKeyMethod2Client(message))).toBe(inputs.message);
    } else {
      const message = value(parseKeyMethod2Server(bytes));
      expect(toHex(message.random1)).toBe(expected.random1);
      expect(toHex(message.random2)).toBe(expected.random2);
      expect(message.optionsString).toBe(expected.options);
      expect(message.peerInfo ?? '').toBe(expected.peer_info);
      expect(toHex(emitKeyMethod2Server(message))).toBe(inputs.message);
    }
  });
});

describe('messages to refuse', () => {
  const cases = all.filter((v) => v.expected.error && v.id !== 'reject-userlen');
  test.each(cases.map((v) => [v.id, v] as const))('%s', (_id, { inputs }) => {
    expect(parseKeyMethod2Client(fromHex(inputs.message)).ok).toBe(false);
  });

  // The user is refused, not the message: since 2.6.13 the client is told why by AUTH_FAILED.
  test('reject-userlen', () => {
    const { inputs } = all.find((v) => v.id === 'reject-userlen')!;
    const message = value(parseKeyMethod2Client(fromHex(inputs.message)));
    expect(message.credentialsTooLong).toBe(true);
    expect(message.username).toBeUndefined();
  });
});

const keys = {
  preMaster: new Uint8Array(48).fill(1),
  random1: new Uint8Array(32).fill(2),
  random2: new Uint8Array(32).fill(3),
};
const credentials = { optionsString: 'V4', username: 'u', password: 'p', peerInfo: 'IV_PROTO=2\n' };

/** The client's message with its four texts given as raw fields. */
function raw(...fields: (string | Uint8Array)[]): Uint8Array {
  const parts = fields.map((field) => (typeof field === 'string' ? new TextEncoder().encode(`${field}\0`) : field));
  return Uint8Array.from(
    Buffer.concat([
      Buffer.from('0000000002', 'hex'),
      keys.preMaster,
      keys.random1,
      keys.random2,
      ...parts.flatMap((part) => [Uint8Array.of(part.length >> 8, part.length), part]),
    ]),
  );
}

test('absent and empty are different on the wire and after it', () => {
  const absent = emitKeyMethod2Client({ ...keys, ...credentials, username: undefined, password: undefined });
  const empty = emitKeyMethod2Client({ ...keys, ...credentials, username: '', password: '' });
  expect(empty.length - absent.length).toBe(2);
  expect(value(parseKeyMethod2Client(absent))).toMatchObject({ username: undefined, password: undefined });
  expect(value(parseKeyMethod2Client(empty))).toMatchObject({ username: '', password: '' });
});

test('an options string is always sent', () => {
  const bytes = emitKeyMethod2Server({
    random1: keys.random1,
    random2: keys.random2,
    optionsString: undefined,
    peerInfo: undefined,
  });
  expect(toHex(bytes.subarray(69))).toBe('000100000000000000');
});

test('the limit is 128 bytes with the NUL, and what follows is still found', () => {
  const fits = value(parseKeyMethod2Client(raw('V4', 'u'.repeat(127), 'p', 'IV_PROTO=2\n')));
  expect(fits).toMatchObject({ username: 'u'.repeat(127), peerInfo: 'IV_PROTO=2\n', credentialsTooLong: false });
  const over = value(parseKeyMethod2Client(raw('V4', 'u'.repeat(128), 'p', 'IV_PROTO=2\n')));
  expect(over).toMatchObject({
    username: undefined,
    password: 'p',
    peerInfo: 'IV_PROTO=2\n',
    credentialsTooLong: true,
  });
  expect(() => emitKeyMethod2Client({ ...keys, ...credentials, password: 'p'.repeat(128) })).toThrow(RangeError);
});

test('an options string of 512 bytes with its NUL passes, one more does not', () => {
  expect(parseKeyMethod2Client(raw('o'.repeat(511), 'u', 'p', '')).ok).toBe(true);
  expect(parseKeyMethod2Client(raw('o'.repeat(512), 'u', 'p', '')).ok).toBe(false);
});

test('a missing tail counts as absent; bytes behind the end are thrown away', () => {
  expect(value(parseKeyMethod2Client(raw('V4')))).toMatchObject({
    optionsString: 'V4',
    username: undefined,
    peerInfo: undefined,
  });
  expect(value(parseKeyMethod2Client(raw()))).toMatchObject({ optionsString: undefined });
  const whole = emitKeyMethod2Client({ ...keys, ...credentials });
  const longer = Uint8Array.from([...whole, ...new TextEncoder().encode('PUSH_REQUEST\0')]);
  expect(value(parseKeyMethod2Client(longer))).toMatchObject(credentials);
});

test('a password that is not UTF-8 is refused, one that is passes, with a byte order mark as with any character', () => {
  expect(parseKeyMethod2Client(raw('V4', 'u', Uint8Array.of(0xff, 0), '')).ok).toBe(false);
  expect(value(parseKeyMethod2Client(raw('V4', 'ü', '\ufeffp', '')))).toMatchObject({
    username: 'ü',
    password: '\ufeffp',
  });
});

test('any bytes give a value or a reason', () => {
  const any = fc.uint8Array({ maxLength: 300 });
  const plausible = any.map((tail) => Uint8Array.from([...fromHex('0000000002'), ...keys.preMaster, ...tail]));
  fc.assert(
    fc.property(fc.oneof(any, plausible), (bytes) => {
      for (const result of [parseKeyMethod2Client(bytes), parseKeyMethod2Server(bytes)]) {
        if (!result.ok) expect(result.reason).toMatch(/^key method 2: /);
      }
    }),
    { seed: 1, numRuns: 1500 },
  );
});

test('every cut of a message before the options string ends is refused', () => {
  const bytes = emitKeyMethod2Client({ ...keys, ...credentials });
  for (let length = 0; length < 117; length++) expect(parseKeyMethod2Client(bytes.subarray(0, length)).ok).toBe(false);
});

test('the secrets are copies, also from a Buffer', () => {
  const bytes = Buffer.from(emitKeyMethod2Client({ ...keys, ...credentials }));
  const message = value(parseKeyMethod2Client(bytes));
  bytes.fill(0xdd);
  expect(message.preMaster).toEqual(keys.preMaster);
  expect(message.random1).toEqual(keys.random1);
});
