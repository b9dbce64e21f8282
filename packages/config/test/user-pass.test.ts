import { describe, expect, test } from 'vitest';
import { parseUserPass } from '../src/index.js';
import vectors from './vectors/config_parse.json' with { type: 'json' };

interface UserPassVector {
  id: string;
  inputs: { text: string };
  expected: { username?: string; password?: string; error?: boolean };
}

const files = (vectors.vectors as unknown as UserPassVector[]).filter((vector) => vector.id.startsWith('userpass'));

describe('vectors of user and password files', () => {
  test('the file has them', () => expect(files.length).toBe(6));
  test.each(files)('$id', ({ inputs, expected }) => {
    const result = parseUserPass(inputs.text);
    if (expected.error) expect(result.ok).toBe(false);
    else expect(result).toEqual({ ok: true, username: expected.username, password: expected.password });
  });
});

test('a name alone has no password, an empty second line is an empty password only when something follows', () => {
  expect(parseUserPass('joe')).toEqual({ ok: true, username: 'joe', password: undefined });
  expect(parseUserPass('joe\n')).toEqual({ ok: true, username: 'joe', password: undefined });
  expect(parseUserPass('joe\n\n')).toEqual({ ok: true, username: 'joe', password: '' });
});

test('nothing, and more than 127 bytes, are refused', () => {
  expect(parseUserPass('').ok).toBe(false);
  expect(parseUserPass(`${'x'.repeat(127)}\np`).ok).toBe(true);
  expect(parseUserPass(`${'x'.repeat(128)}\np`).ok).toBe(false);
  expect(parseUserPass(`joe\n${'x'.repeat(128)}`).ok).toBe(false);
});
