import { expect, test } from 'vitest';
import { type Options, parseConfigText } from '../src/index.js';

const BASE = 'dev tun\nremote 192.0.2.1\nifconfig 10.8.0.1 10.8.0.2\ncipher AES-256-CBC\n';
const DEPRECATED = 'DEPRECATED OPTION: The option --secret is deprecated.';

function read(text: string): { readonly options: Options; readonly warnings: readonly string[] } {
  const result = parseConfigText(`${BASE}${text}\n`, 't.conf');
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error('that is no configuration');
  return result;
}

test.each([
  ['secret static.key', undefined],
  ['secret static.key 0', 0],
  ['secret static.key 1', 1],
  ['secret static.key\nkey-direction 1', 1],
  ['key-direction 0\n<secret>\nkey\n</secret>', 0],
] as const)('%j', (text, direction) => {
  const { options } = read(text);
  expect(options.mode).toBe('p2p');
  expect(options.client).toBeUndefined();
  expect(options.staticKey).toMatchObject({
    source: text.includes('<') ? { kind: 'inline', text: 'key\n' } : { kind: 'file', path: 'static.key' },
    direction,
  });
});

test.each(['secret static.key 2', 'secret static.key in', 'secret'])('%j is refused', (text) => {
  expect(parseConfigText(`${BASE}${text}\n`, 't.conf').ok).toBe(false);
});

test('it is deprecated, and who says that it is meant hears so once', () => {
  expect(read('secret k').warnings).toEqual([DEPRECATED, expect.stringMatching(/^DEPRECATION: No tls-client or/)]);
  expect(read('secret k\nallow-deprecated-insecure-static-crypto').warnings).toEqual([DEPRECATED]);
});

test('without it or TLS there is no tunnel', () => {
  const result = parseConfigText(BASE, 't.conf');
  expect(result).toMatchObject({ ok: false, errors: [expect.stringContaining('tunnels without TLS')] });
});

test('the MTU is measured on demand, which fragments make inaccurate', () => {
  expect(read('secret k').options.link.mtuTest).toBe(false);
  expect(read('secret k\nmtu-test').options.link.mtuTest).toBe(true);
  expect(read('secret k\nmtu-test\nfragment 1300').warnings.join()).toContain(
    'using --fragment and --mtu-test together',
  );
});

test('a server does not measure', () => {
  const server = 'dev tun\nserver 10.8.0.0 255.255.255.0\nca c\ncert c\nkey k\ndh none\nmtu-test\n';
  expect(parseConfigText(server, 't.conf')).toMatchObject({ ok: false, errors: [expect.stringContaining('mtu-test')] });
  expect(parseConfigText(server.replace('mtu-test', ''), 't.conf').ok).toBe(true);
});
