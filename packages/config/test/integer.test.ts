import { describe, expect, test } from 'vitest';
import { isInteger, parseInteger } from '../src/index.js';
import vectors from './vectors/config_parse.json' with { type: 'json' };

interface IntegerVector {
  id: string;
  inputs: { text?: string; positive?: boolean; name?: string; min?: number; max?: number };
  expected: { valid?: boolean; value?: number | null; error?: string | null };
}

const all = vectors.vectors as unknown as IntegerVector[];
const validity = all.filter((vector) => vector.inputs.positive !== undefined);
const ranged = all.filter((vector) => vector.inputs.min !== undefined);

describe('vectors of integers', () => {
  test('the file has them', () => expect([validity.length, ranged.length]).toEqual([11, 9]));
  test.each(validity)('$id', ({ inputs, expected }) => {
    expect(isInteger(inputs.text ?? '', inputs.positive ?? false)).toBe(expected.valid);
  });
  test.each(ranged)('$id', ({ inputs, expected }) => {
    const result = parseInteger(inputs.text ?? '', inputs.name ?? '', inputs.min ?? 0, inputs.max ?? 0);
    expect(result.ok ? result.value : result.reason).toBe(expected.value ?? expected.error);
  });
});

test.each(['', ' 1', '1 ', '0x10', '1e3', '1.5', '--1', '99999999999999999999', '١'])('%j is no integer', (text) => {
  expect(parseInteger(text, 'test', -10, 100).ok).toBe(false);
});
