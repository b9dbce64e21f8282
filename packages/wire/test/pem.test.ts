import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeBase64, emitPem, encodeBase64, parsePem } from '../src/index.js';
import { value } from './vectors.js';

test('base64 is what others write, and comes back', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(encodeBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
      expect(decodeBase64(encodeBase64(bytes))).toEqual(bytes);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test.each(['a', 'ab', 'abc', 'ab=c', '====', 'a===', 'ab!=', 'abc_', 'YW==YW==', 'YX==', 'YWJ=', ' YWJj'])(
  '%j is no base64',
  (text) => {
    expect(decodeBase64(text)).toBeUndefined();
  },
);

test('a block is found among other text, whatever its lines', () => {
  const bytes = Uint8Array.from({ length: 128 }, (_, i) => i);
  const pem = emitPem(bytes, 'OpenVPN tls-crypt-v2 server key');
  expect(
    pem
      .split('\n')
      .slice(1, -2)
      .every((line) => line.length <= 64),
  ).toBe(true);
  expect(value(parsePem(`noise\n${pem.replaceAll('\n', '\r\n')}more`, 'OpenVPN tls-crypt-v2 server key'))).toEqual(
    bytes,
  );
  expect(parsePem(pem, 'OpenVPN tls-crypt-v2 client key').ok).toBe(false);
  expect(parsePem(pem.split('-----END')[0]!, 'OpenVPN tls-crypt-v2 server key').ok).toBe(false);
  expect(parsePem(pem.replace('AAEC', 'A!EC'), 'OpenVPN tls-crypt-v2 server key').ok).toBe(false);
});
