import { describe, expect, test } from 'vitest';
import { tokeniseLine } from '../src/index.js';
import vectors from './vectors/config_parse.json' with { type: 'json' };

interface LineVector {
  id: string;
  inputs: { line?: string };
  expected: { params?: string[] };
}

const lines = (vectors.vectors as unknown as LineVector[]).filter((vector) => vector.inputs.line !== undefined);

describe('vectors of the tokeniser', () => {
  test('the file has them', () => expect(lines.length).toBe(26));
  test.each(lines)('$id', ({ inputs, expected }) => {
    const tokens = tokeniseLine(inputs.line ?? '', 'test:1');
    expect(tokens.ok ? tokens.parameters : []).toEqual(expected.params);
  });
});

describe('reasons name the place', () => {
  test.each([
    ['a "b', 'No closing quotation (") in server.conf:7'],
    ["a 'b", "No closing single quotation (') in server.conf:7"],
    ['a \\b', "Options warning: Bad backslash ('\\') usage in server.conf:7"],
    ['a b\\', "Options warning: Bad backslash ('\\') usage in server.conf:7"],
    [`a ${'x'.repeat(257)}`, 'Parameter at server.conf:7 is too long'],
  ])('%s', (line, reason) => {
    const tokens = tokeniseLine(line, 'server.conf:7');
    expect(tokens.ok ? '' : tokens.reason).toContain(reason);
  });
});

test('the length limit counts bytes: 128 two-byte letters pass, one byte more does not', () => {
  expect(tokeniseLine(`a ${'ä'.repeat(128)}`, 'x:1').ok).toBe(true);
  expect(tokeniseLine(`a ${'ä'.repeat(128)}x`, 'x:1').ok).toBe(false);
});

test('a seventeenth parameter is dropped and reported, a comment there is not', () => {
  const sixteen = Array.from({ length: 16 }, (_, index) => String(index)).join(' ');
  expect(tokeniseLine(`${sixteen} 16`, 'x:1')).toMatchObject({ ok: true, dropped: true });
  expect(tokeniseLine(`${sixteen}  # 16`, 'x:1')).toMatchObject({ ok: true, dropped: false });
});
