import { Secret } from '@openvpnd/sans-io';
import { describe, expect, test } from 'vitest';
import { epochDataKey, expandLabel, findDataCipher, hkdfExpand, nextEpochSecret } from '../src/index.js';
import { fromHex, toHex, vectors } from './vectors.js';

const all = vectors('epoch_keys');
const hex = (secret: Secret): string => toHex(secret.bytes);

describe('HKDF', () => {
  const cases = all.filter(([, v]) => v.inputs.prk);
  expect(cases).toHaveLength(4);
  test.each(cases)('%s', (_id, { inputs, expected }) => {
    expect(toHex(hkdfExpand(fromHex(inputs.prk), fromHex(inputs.info), inputs.length))).toBe(expected.okm);
  });

  test('ovpn-expand-label', () => {
    const { inputs, expected } = all.find(([id]) => id === 'ovpn-expand-label')![1];
    expect(toHex(expandLabel(fromHex(inputs.secret), inputs.label, inputs.length))).toBe(expected.out);
    expect(toHex(expandLabel(fromHex(inputs.secret), 'unit tess', inputs.length))).not.toBe(expected.out);
  });
});

test('epoch-chain', () => {
  const { inputs, expected } = all.find(([id]) => id === 'epoch-chain')![1];
  let secret = new Secret(fromHex(inputs.E1));
  for (const link of expected.chain) {
    expect(hex(secret)).toBe(link.E);
    const key = epochDataKey(secret, 32);
    expect(hex(key.cipherKey)).toBe(link.data_key_32);
    expect(hex(key.iv)).toBe(link.data_iv_12);
    secret = nextEpochSecret(secret);
  }
  expect(expected.chain).toHaveLength(17);
});

describe('data keys', () => {
  const cases = all.filter(([, v]) => v.expected.data_key);
  expect(cases).toHaveLength(20);
  test.each(cases)('%s', (_id, { inputs, expected }) => {
    let secret = new Secret(fromHex(inputs.E1 ?? inputs.E_epoch ?? inputs.epoch_key));
    // From E1 the chain is walked; the others give the secret of the epoch itself.
    if (inputs.E1)
      for (let epoch = 1; epoch < (inputs.epoch ?? expected.epoch); epoch++) secret = nextEpochSecret(secret);
    const key = epochDataKey(secret, findDataCipher(inputs.cipher)!.keyBytes);
    expect(hex(key.cipherKey)).toBe(expected.data_key);
    expect(hex(key.iv)).toBe(expected.data_iv);
    expect(hex(epochDataKey(nextEpochSecret(secret), 32).iv)).not.toBe(expected.data_iv);
  });
});
