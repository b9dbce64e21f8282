import {
  formatInnerAddress,
  formatPrefix,
  netmaskLength,
  parseInnerAddress,
  parsePrefix,
  prefixOf,
} from '@openvpnd/internal-mux';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('inner addresses', () => {
  it.each([
    ['10.8.0.1', [10, 8, 0, 1]],
    ['fd00::1', [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]],
    ['::', new Array<number>(16).fill(0)],
  ])('reads and writes %s', (text, bytes) => {
    const address = parseInnerAddress(text);
    expect([...(address ?? [])]).toEqual(bytes);
    expect(formatInnerAddress(Uint8Array.from(bytes))).toBe(text);
  });

  it.each(['', '10.8.0', '010.8.0.1', '10.8.0.256', 'server', 'fe80::1%eth0', ':::', '10.8.0.0/24'])(
    'refuses %j',
    (text) => {
      expect(parseInnerAddress(text)).toBeUndefined();
    },
  );

  it.each(['10.8.0.0/24', '0.0.0.0/0', '10.8.0.1/32', 'fd00::/64', '::/0', 'fd00::1/128', '128.0.0.0/1'])(
    'reads and writes %s',
    (text) => {
      const prefix = parsePrefix(text);
      expect(prefix && formatPrefix(prefix)).toBe(text);
    },
  );

  it('takes a bare address for a network of one', () => {
    expect(parsePrefix('10.8.0.1')?.length).toBe(32);
    expect(parsePrefix('fd00::1')?.length).toBe(128);
  });

  it.each([
    '10.8.0.1/24',
    '10.8.0.0/33',
    'fd00::1/64',
    'fd00::/129',
    '10.8.0.0/',
    '10.8.0.0/-1',
    '10.8.0.0/24/24',
    '/24',
    'x/8',
  ])('refuses %s', (text) => {
    expect(parsePrefix(text)).toBeUndefined();
  });

  it('cuts an address at any length', () => {
    expect(formatPrefix(prefixOf(Uint8Array.of(10, 8, 255, 255), 19))).toBe('10.8.224.0/19');
    expect(formatPrefix(prefixOf(Uint8Array.of(255, 255, 255, 255), 0))).toBe('0.0.0.0/0');
    expect(formatPrefix(prefixOf(Uint8Array.of(255, 255, 255, 255), 32))).toBe('255.255.255.255/32');
  });

  it('knows netmasks', () => {
    expect(netmaskLength(Uint8Array.of(255, 255, 255, 0))).toBe(24);
    expect(netmaskLength(Uint8Array.of(0, 0, 0, 0))).toBe(0);
    expect(netmaskLength(Uint8Array.of(255, 0, 255, 0))).toBeUndefined();
  });

  it('reads what it writes', () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
        (bytes) => {
          expect(parseInnerAddress(formatInnerAddress(bytes))).toEqual(bytes);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});
