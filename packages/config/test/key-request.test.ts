import { expect, test } from 'vitest';
import { KEY_TYPES, type OptionsResult, parseArguments } from '../src/index.js';

const files = { readFile: () => ({ ok: false, reason: 'no files here' }) as const };

function request(...argv: string[]): unknown {
  const result: OptionsResult = parseArguments(argv, files);
  return result.ok && result.standAlone === 'genkey' ? result.request : result;
}

test.each(KEY_TYPES.filter((type) => type !== 'tls-crypt-v2-client'))('genkey %s', (type) => {
  expect(request('--genkey', type, 'a.key')).toEqual({
    type,
    path: 'a.key',
    metadata: undefined,
    serverKey: undefined,
  });
  expect(request('--genkey', type)).toMatchObject({ type, path: undefined });
});

test('genkey alone makes a static key on standard output', () => {
  expect(request('--genkey')).toMatchObject({ type: 'secret', path: undefined });
});

test('the server key may stand before or behind', () => {
  const wanted = { type: 'tls-crypt-v2-client', path: 'c.key', metadata: 'AAAA', serverKey: { path: 's.key' } };
  expect(request('--tls-crypt-v2', 's.key', '--genkey', 'tls-crypt-v2-client', 'c.key', 'AAAA')).toMatchObject(wanted);
  expect(request('--genkey', 'tls-crypt-v2-client', 'c.key', 'AAAA', '--tls-crypt-v2', 's.key')).toMatchObject(wanted);
  expect(request('--genkey', 'tls-crypt-v2-client', 'c.key')).toMatchObject({
    ok: false,
    errors: [expect.stringContaining('requires a server key to be set via --tls-crypt-v2')],
  });
});

test('the form before 2.5', () => {
  expect(request('--genkey', '--secret', 'old.key')).toMatchObject({ type: 'secret', path: 'old.key' });
  expect(request('--genkey', '--secret')).toMatchObject({ ok: false });
});

test('other types, and options that are wrong, are refused', () => {
  expect(request('--genkey', 'bogus', 'a')).toMatchObject({
    ok: false,
    errors: [expect.stringContaining('Options error: unknown --genkey type: bogus')],
  });
  expect(request('--genkey', 'secret', 'a', 'b', 'c')).toMatchObject({ ok: false });
  expect(request('--genkey', 'secret', 'a', '--nonsense')).toMatchObject({ ok: false });
});
