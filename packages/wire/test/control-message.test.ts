import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emitControlMessage,
  extractControlMessages,
  parseControlMessage,
  withoutControlCharacters,
} from '../src/index.js';
import { fromHex, vectors } from './vectors.js';

const all = vectors('control_messages');
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('vectors: records', () => {
  test.each(all.filter((v) => v.inputs.buffer).map((v) => [v.id, v] as const))('%s', (_id, { inputs, expected }) => {
    const { messages, dropped } = extractControlMessages(fromHex(inputs.buffer));
    expect(messages).toEqual(expected.commands.filter((command: unknown) => command !== null));
    expect(dropped).toBe(expected.commands.filter((command: unknown) => command === null).length);
  });
});

describe('vectors: stripping', () => {
  test.each(all.filter((v) => v.expected.acceptable !== undefined).map((v) => [v.id, v] as const))(
    '%s',
    (_id, { inputs, expected }) => {
      const { messages, dropped } = extractControlMessages(bytesOf(`${inputs.message}\0`));
      expect(messages).toEqual(expected.acceptable ? [expected.stripped] : []);
      expect(dropped).toBe(expected.acceptable ? 0 : 1);
    },
  );
});

describe('vectors: temporary failures', () => {
  test.each(all.filter((v) => v.id.startsWith('auth-failed-temp')).map((v) => [v.id, v] as const))(
    '%s',
    (_id, { inputs, expected }) => {
      expect(parseControlMessage(inputs.message)).toMatchObject({
        type: 'AUTH_FAILED',
        failure: {
          kind: 'temporary',
          backoffSeconds: expected.backoff ?? undefined,
          advance: expected.advance,
          text: expected.message,
        },
      });
    },
  );
});

test('every vector of the file has run', () => {
  expect(
    all.filter((v) => v.inputs.buffer || v.expected.acceptable !== undefined || v.id.startsWith('auth-failed-temp')),
  ).toHaveLength(all.length);
});

describe('messages', () => {
  test.each([
    ['PUSH_REQUEST', { type: 'PUSH_REQUEST' }],
    ['PUSH_REPLY', { type: 'PUSH_REPLY', options: [], continuation: 'single' }],
    [
      'PUSH_REPLY,route 10.0.0.0,ping 1',
      { type: 'PUSH_REPLY', options: ['route 10.0.0.0', 'ping 1'], continuation: 'single' },
    ],
    ['PUSH_REPLY,a,push-continuation 2', { type: 'PUSH_REPLY', options: ['a'], continuation: 'more' }],
    ['PUSH_REPLY,b,push-continuation 1', { type: 'PUSH_REPLY', options: ['b'], continuation: 'last' }],
    ['PUSH_REPLYX,b', { type: 'PUSH_INVALID', text: 'PUSH_REPLYX,b' }],
    ['PUSH_UPDATE, -?dns,route a', { type: 'PUSH_UPDATE', options: [' -?dns', 'route a'], continuation: 'single' }],
    [
      'PUSH_UPDATEerr,dhcp-option DNS 8.8.8.8',
      { type: 'PUSH_INVALID', text: 'PUSH_UPDATEerr,dhcp-option DNS 8.8.8.8' },
    ],
    ['PUSH_UPDATE ,dhcp-option DNS 8.8.8.8', { type: 'PUSH_INVALID', text: 'PUSH_UPDATE ,dhcp-option DNS 8.8.8.8' }],
    ['PUSH_FOO', { type: 'PUSH_INVALID', text: 'PUSH_FOO' }],
    ['RESTART', { type: 'RESTART', keepPassword: false, nextServer: false, text: '' }],
    ['RESTART,[P]bye', { type: 'RESTART', keepPassword: true, nextServer: false, text: 'bye' }],
    ['RESTART,[N]', { type: 'RESTART', keepPassword: false, nextServer: true, text: '' }],
    ['HALT,client was killed', { type: 'HALT', text: 'client was killed' }],
    ['INFO_PRE,WEB_AUTH::https://x', { type: 'INFO_PRE', text: 'WEB_AUTH::https://x' }],
    ['INFO,hello', { type: 'INFO', text: 'hello' }],
    ['CR_RESPONSE,YWJj', { type: 'CR_RESPONSE', response: 'YWJj' }],
    ['AUTH_PENDING', { type: 'AUTH_PENDING', timeoutSeconds: undefined }],
    ['AUTH_PENDING,timeout 42', { type: 'AUTH_PENDING', timeoutSeconds: 42 }],
    ['AUTH_PENDING,foo,timeout 42', { type: 'AUTH_PENDING', timeoutSeconds: 42 }],
    ['AUTH_PENDING,timeout -1', { type: 'AUTH_PENDING', timeoutSeconds: undefined }],
    ['EXIT', { type: 'EXIT' }],
    ['', { type: 'unknown', text: '' }],
    ['exit', { type: 'unknown', text: 'exit' }],
  ])('%s', (text, message) => {
    expect(parseControlMessage(text)).toEqual(message);
  });

  test.each([
    ['AUTH_FAILED', { kind: 'plain', reason: '' }],
    ['AUTH_FAILED,no', { kind: 'plain', reason: 'no' }],
    [
      'AUTH_FAILED,SESSION: token expired',
      { kind: 'session', reason: 'SESSION: token expired', text: 'token expired' },
    ],
    [
      'AUTH_FAILED,CRV1:R,E:id:dXNlcg==:What: now?',
      {
        kind: 'challenge',
        reason: 'CRV1:R,E:id:dXNlcg==:What: now?',
        challenge: { flags: ['R', 'E'], stateId: 'id', username: 'dXNlcg==', text: 'What: now?' },
      },
    ],
    ['AUTH_FAILED,CRV1:R,E:id', { kind: 'plain', reason: 'CRV1:R,E:id' }],
    ['AUTH_FAILED,TEMP', { kind: 'temporary', reason: 'TEMP', backoffSeconds: undefined, advance: 'addr', text: '' }],
  ])('%s', (text, failure) => {
    expect(parseControlMessage(text)).toEqual({ type: 'AUTH_FAILED', failure });
  });
});

test('emit ends with a NUL and refuses control characters', () => {
  expect(extractControlMessages(emitControlMessage('AUTH_FAILED,ü'))).toEqual({
    messages: ['AUTH_FAILED,ü'],
    dropped: 0,
  });
  expect(() => emitControlMessage('a\nb')).toThrow(RangeError);
  expect(() => emitControlMessage('a\0b')).toThrow(RangeError);
  expect(emitControlMessage(withoutControlCharacters('a\r\nb\x7f'))).toEqual(bytesOf('a  b \0'));
});

test('any record is split, and no message holds a control character', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (record) => {
      for (const message of extractControlMessages(record).messages) {
        expect(message).not.toMatch(/[\u0000-\u001f\u007f]/);
        parseControlMessage(message);
      }
    }),
    { seed: 1, numRuns: 1000 },
  );
});

test('any text parses', () => {
  const keyword = fc.constantFrom(
    'AUTH_FAILED',
    'AUTH_FAILED,TEMP[',
    'AUTH_FAILED,CRV1:',
    'PUSH_REPLY',
    'PUSH_UPDATE,',
    'RESTART,[',
    'HALT,[',
    'AUTH_PENDING,',
    '',
  );
  fc.assert(
    fc.property(keyword, latin1(80), (start, rest) => {
      expect(parseControlMessage(start + rest).type).toBeTruthy();
    }),
    { seed: 1, numRuns: 1000 },
  );
});

function latin1(maxLength: number): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength }).map((bytes) => String.fromCharCode(...bytes));
}
