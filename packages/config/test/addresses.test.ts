import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatIpv4, netmaskBits, netmaskOf, parseIpv4 } from '../src/ipv4.js';
import { formatIpv6, ipv6Network, parseIpv6, parseIpv6Prefix } from '../src/ipv6.js';
import { parsePort } from '../src/port.js';

const runs = { seed: 1, numRuns: 300 };

describe('IPv4', () => {
  test('text and number are the same address', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 0xffff_ffff }), (value) => parseIpv4(formatIpv4(value)) === value),
      runs,
    );
  });
  test.each(['', '1.2.3', '1.2.3.4.5', '256.1.1.1', '1.2.3.x', ' 1.2.3.4', '1.2.3.4 ', '-1.2.3.4', '0x1.2.3.4'])(
    '%j is none',
    (text) => expect(parseIpv4(text)).toBeUndefined(),
  );
  test('netmasks are contiguous', () => {
    for (let bits = 0; bits <= 32; bits += 1) expect(netmaskBits(netmaskOf(bits))).toBe(bits);
    expect(netmaskBits(parseIpv4('255.0.255.0') ?? 0)).toBeUndefined();
    expect(netmaskBits(1)).toBeUndefined();
  });
});

describe('IPv6', () => {
  test('text and value are the same address', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: (1n << 128n) - 1n }), (value) => parseIpv6(formatIpv6(value)) === value),
      runs,
    );
  });
  test.each([
    ['::', '::'],
    ['::1', '::1'],
    ['fd00::', 'fd00::'],
    ['2001:DB8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8'],
    ['::ffff:1.2.3.4', '::ffff:102:304'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ])('%s is written %s', (text, canonical) => expect(formatIpv6(parseIpv6(text) ?? -1n)).toBe(canonical));
  test.each([
    '',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '12345::',
    'g::',
    '1.2.3.4',
    '::1%eth0',
    '1:2:3:4:5:6:7:8::',
    '1.2.3.4::',
  ])('%j is none', (text) => expect(parseIpv6(text)).toBeUndefined());
  test('prefixes', () => {
    expect(parseIpv6Prefix('fd00::1/64')).toEqual({ address: (0xfdn << 120n) + 1n, bits: 64 });
    expect(parseIpv6Prefix('fd00::1')?.bits).toBe(64);
    expect(parseIpv6Prefix('fd00::1/')).toBeUndefined();
    expect(parseIpv6Prefix('fd00::1/129')).toBeUndefined();
    expect(formatIpv6(ipv6Network({ address: parseIpv6('fd00::ff:1') ?? 0n, bits: 64 }))).toBe('fd00::');
    expect(ipv6Network({ address: 5n, bits: 0 })).toBe(0n);
  });
});

test('ports', () => {
  expect([parsePort('0'), parsePort('65535'), parsePort('https'), parsePort('01194')]).toEqual([0, 65535, 443, 1194]);
  for (const text of ['', '65536', '-1', '1x', 'gopher', '999999']) expect(parsePort(text)).toBeUndefined();
});
