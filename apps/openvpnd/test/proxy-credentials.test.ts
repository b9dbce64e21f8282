import { mssOf } from '@openvpnd/keygen';
import { expect, test } from 'vitest';
import { keyUse, packetShape } from '../src/install-keys.js';
import { readProxyCredentials } from '../src/link/proxy-credentials.js';
import { CLIENT, optionsOf } from './options-of.js';

const clientOptionsOf = (lines: string) => optionsOf(...CLIENT, lines).options;

test('mssfix leaves room for the header that a SOCKS proxy wants, over UDP alone', () => {
  const mss = (lines: string): number => {
    const options = clientOptionsOf(lines);
    const [entry] = options.connections;
    const use = keyUse(options, entry);
    const stream = entry.protocol.transport === 'tcp';
    const cipher = { name: 'AES-256-GCM', keyBytes: 32, kind: 'aead', blockBytes: 16 } as const;
    const shape = packetShape({ keys: { cipher }, peerId: 0 } as never, use, { ipv6: false, stream });
    return mssOf({ bytes: 1400, limits: 'mtu' }, shape);
  };
  expect(mss('socks-proxy p\n')).toBe(mss('') - 10);
  expect(mss('proto tcp\nsocks-proxy p\n')).toBe(mss('proto tcp\n'));
});

test('a login that is not there is told at the start, and named after its option', () => {
  const missing = "'/nonexistent': No such file or directory";
  expect(() => readProxyCredentials(clientOptionsOf('socks-proxy p 1080 /nonexistent\n'))).toThrow(
    `--socks-proxy fails with ${missing}`,
  );
  expect(() => readProxyCredentials(clientOptionsOf('proto tcp\nhttp-proxy p 1 /nonexistent\n'))).toThrow(
    `--http-proxy fails with ${missing}`,
  );
  const half = 'proto tcp\nhttp-proxy p 1 auto\n<http-proxy-user-pass>\nalice\n</http-proxy-user-pass>\n';
  expect(() => readProxyCredentials(clientOptionsOf(half))).toThrow(
    '--http-proxy-user-pass: the inline block must hold the user name on its first line and the password on its second',
  );
  readProxyCredentials(clientOptionsOf(half.replace('alice\n', 'alice\nsecret\n')));
});
