import { expect, test } from 'vitest';
import { tls1Prf } from '../src/index.js';
import { fromHex, toHex, vectors } from './vectors.js';

test.each(vectors('tls1_prf'))('%s', (_id, { inputs, expected }) => {
  expect(toHex(tls1Prf(fromHex(inputs.secret), fromHex(inputs.seed), inputs.out_len))).toBe(expected.out);
});

test('another secret or seed gives other bytes, a shorter output the same start', () => {
  const secret = fromHex('00112233');
  const seed = fromHex('aa');
  const output = toHex(tls1Prf(secret, seed, 48));
  expect(toHex(tls1Prf(fromHex('00112234'), seed, 48))).not.toBe(output);
  expect(toHex(tls1Prf(secret, fromHex('ab'), 48))).not.toBe(output);
  expect(output.startsWith(toHex(tls1Prf(secret, seed, 17)))).toBe(true);
});
