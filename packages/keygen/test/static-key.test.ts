import { Secret } from '@openvpnd/sans-io';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emitStaticKey, generateStaticKey, parseStaticKey, type StaticKeyResult } from '../src/index.js';
import { toHex, vectors } from './vectors.js';

const cases = vectors('static_key').filter(([, v]) => v.inputs.text !== undefined);
const file = cases.find(([id]) => id === 'genkey-2.6.14')![1].inputs.text as string;

function value(result: StaticKeyResult): Secret {
  if (!result.ok) throw new Error(result.reason);
  return result.value;
}

describe('vectors', () => {
  test.each(cases)('%s', (_id, { inputs, expected }) => {
    const result = parseStaticKey(inputs.text);
    expect(result.ok).toBe(expected.key_256 !== undefined || expected.accepted);
    if (!expected.key_256) return;
    const key = value(result).bytes;
    expect(toHex(key)).toBe(expected.key_256);
    expect(toHex(key.subarray(0, 64))).toBe(expected.keys0_cipher);
    expect(toHex(key.subarray(64, 128))).toBe(expected.keys0_hmac);
    expect(toHex(key.subarray(128, 192))).toBe(expected.keys1_cipher);
    expect(toHex(key.subarray(192))).toBe(expected.keys1_hmac);
  });
});

test('what is written is what openvpn --genkey writes', () => {
  expect(emitStaticKey(value(parseStaticKey(file)))).toBe(file);
});

test('a generated key comes from the injected source and goes through a file', () => {
  const key = generateStaticKey({ fill: (target) => target.fill(0xa5) });
  expect(toHex(key.bytes)).toBe('a5'.repeat(256));
  expect(toHex(value(parseStaticKey(emitStaticKey(key))).bytes)).toBe('a5'.repeat(256));
  expect(() => emitStaticKey(new Secret(new Uint8Array(128)))).toThrow(RangeError);
});

test('digits may stand anywhere, upper case or lower; more than enough is ignored as OpenVPN does', () => {
  const reference = toHex(value(parseStaticKey(file)).bytes);
  const body = file.split('V1-----\n')[1]!.split('\n-----END')[0]!;
  expect(toHex(value(parseStaticKey(file.replace(body, body.replaceAll('\n', ' ').toUpperCase()))).bytes)).toBe(
    reference,
  );
  expect(toHex(value(parseStaticKey(file.replace('-----END', 'zz 00112233\n-----END'))).bytes)).toBe(reference);
});

test('a reason names the line and shows no key', () => {
  const bad = file.split('\n').map((line, i) => (i === 6 ? `${line.slice(0, 4)}x${line.slice(5)}` : line));
  expect(parseStaticKey(bad.join('\n'))).toEqual({ ok: false, reason: 'character that is no hex digit in line 7' });
  expect(parseStaticKey(file.split('\n').slice(0, 10).join('\n'))).toEqual({
    ok: false,
    reason: 'key is too short: 96 of 256 bytes',
  });
});

test('any text gives a key or a reason', () => {
  const noise = fc.uint8Array({ maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes));
  fc.assert(
    fc.property(fc.nat(file.length), fc.nat(60), noise, (at, removed, inserted) => {
      expect(typeof parseStaticKey(file.slice(0, at) + inserted + file.slice(at + removed)).ok).toBe('boolean');
    }),
    { seed: 1, numRuns: 300 },
  );
});
