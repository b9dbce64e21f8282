import fc from 'fast-check';
import { expect, test } from 'vitest';
import { emitEarlyNegotiation, parseEarlyNegotiation } from '../src/index.js';
import { fromHex, toHex, value } from './vectors.js';

test('resend-WKc is six bytes; nothing to say is none', () => {
  expect(toHex(emitEarlyNegotiation({ resendWkc: true }))).toBe('000100020001');
  expect(emitEarlyNegotiation({ resendWkc: false })).toHaveLength(0);
  expect(value(parseEarlyNegotiation(fromHex('000100020001')))).toEqual({ resendWkc: true });
  expect(value(parseEarlyNegotiation(fromHex('')))).toEqual({ resendWkc: false });
});

test('other bits and unknown types are skipped', () => {
  expect(value(parseEarlyNegotiation(fromHex('000100020002')))).toEqual({ resendWkc: false });
  expect(value(parseEarlyNegotiation(fromHex('00070003aabbcc00010002ffff')))).toEqual({ resendWkc: true });
  expect(value(parseEarlyNegotiation(fromHex('00090000')))).toEqual({ resendWkc: false });
});

test.each(['00', '000100', '0001000200', '0001000100', '00010003000100', '0007ffff00', '00010002000100'])(
  '%s is refused',
  (hex) => {
    expect(parseEarlyNegotiation(fromHex(hex)).ok).toBe(false);
  },
);

test('any bytes give a value or a reason', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      expect(typeof parseEarlyNegotiation(bytes).ok).toBe('boolean');
    }),
    { seed: 1, numRuns: 1000 },
  );
});
