import { describe, expect, test } from 'vitest';
import { decodeConfig, MAX_CONFIG_BYTES, readStatements } from '../src/index.js';
import vectors from './vectors/config_parse.json' with { type: 'json' };

interface ConfigVector {
  id: string;
  inputs: { config?: string };
  expected: { options: string[][] };
}

const configs = (vectors.vectors as unknown as ConfigVector[]).filter((vector) => vector.inputs.config !== undefined);

function words(text: string): string[][] {
  return readStatements(text, 't.conf').statements.map((statement) => [statement.name, ...statement.parameters]);
}

describe('vectors of configuration texts', () => {
  test('the file has them', () => expect(configs.length).toBe(3));
  test.each(configs)('$id', ({ inputs, expected }) => {
    expect(words(inputs.config ?? '')).toEqual(expected.options);
  });
});

test('CRLF and a byte order mark are fine', () => {
  expect(words('\ufeffverb 3\r\n\r\nport 99\r\n')).toEqual([
    ['verb', '3'],
    ['port', '99'],
  ]);
});

test('line numbers count blocks', () => {
  const { statements } = readStatements('a\n<ca>\nX\nY\n  </ca>\nb\n', 't.conf');
  expect(statements.map((statement) => [statement.name, statement.origin.line, statement.inline])).toEqual([
    ['a', 1, false],
    ['ca', 2, true],
    ['b', 6, false],
  ]);
  expect(statements[1]?.parameters).toEqual(['X\nY\n']);
});

test('an unclosed block and a stray end are named, statements before them stay', () => {
  expect(readStatements('a\n<ca>\nX\n', 't.conf')).toMatchObject({
    statements: [{ name: 'a' }],
    problem: 'ERROR: Endtag </ca> missing (<ca> was opened in t.conf:2)',
  });
  expect(readStatements('</ca>\n', 't.conf').problem).toContain('</ca> in t.conf:1');
});

test('a line of 254 bytes is read, one of 255 is too long', () => {
  expect(readStatements(`verb 1${' '.repeat(248)}`, 't.conf').problem).toBeUndefined();
  expect(readStatements(`verb 1${' '.repeat(249)}`, 't.conf').problem).toMatch(
    /^In t\.conf:1: Maximum option line length \(256\) exceeded, line starts with verb 1/,
  );
});

test('inline content is not held to the length of a line', () => {
  expect(words(`<ca>\n${'A'.repeat(1000)}\n</ca>`)).toEqual([['ca', `${'A'.repeat(1000)}\n`]]);
});

describe('bytes', () => {
  const encoder = new TextEncoder();
  test('UTF-8 is text', () => {
    expect(decodeConfig(encoder.encode('# ä\nverb 3'), 'x')).toEqual({ ok: true, value: '# ä\nverb 3' });
  });
  test.each([
    ['UTF-16 little endian', Uint8Array.of(0xff, 0xfe, 0x76, 0)],
    ['UTF-16 big endian', Uint8Array.of(0xfe, 0xff, 0, 0x76)],
    ['zero bytes', Uint8Array.of(0x76, 0, 0x65, 0)],
    ['too many', new Uint8Array(MAX_CONFIG_BYTES + 1).fill(0x23)],
  ])('%s are refused by file name', (_, bytes) => {
    const result = decodeConfig(bytes, 'odd.conf');
    expect(result.ok ? '' : result.reason).toContain('odd.conf');
  });
});
