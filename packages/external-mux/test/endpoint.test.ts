import {
  endpointOf,
  formatEndpoint,
  formatLinkAddress,
  linkAddress,
  parseEndpoint,
  parseLinkAddress,
  sameLinkAddress,
} from '@openvpnd/external-mux';
import {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_SCOPE,
  ADDRESS_WORDS,
} from '@openvpnd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

describe('endpoints', () => {
  it('puts an IPv4 address into word 2', () => {
    const words = linkAddress({ family: 4, address: '192.0.2.1', port: 1194 }, 7);
    expect([...words]).toEqual([4, 1194, 0xc0000201, 0, 0, 0, 0, 7]);
  });

  it('puts an IPv6 address into words 2 to 5', () => {
    const words = linkAddress({ family: 6, address: 'fe80::1', port: 65535, scope: 3 }, 1);
    expect([...words]).toEqual([6, 65535, 0xfe800000, 0, 0, 1, 3, 1]);
    expect(words[ADDRESS_FAMILY] + words[ADDRESS_SCOPE] + words[ADDRESS_LINK]).toBe(10);
    expect(words[ADDRESS_PORT]).toBe(65535);
    expect(words[ADDRESS_HOST]).toBe(0xfe800000);
  });

  it.each([
    ['192.0.2.1', 1194, '[AF_INET]192.0.2.1:1194'],
    ['2001:db8::1', 1194, '[AF_INET6]2001:db8::1:1194'],
    ['2001:DB8:0:0::1', 1, '[AF_INET6]2001:db8::1:1'],
    ['::ffff:192.0.2.1', 1194, '[AF_INET6]::ffff:192.0.2.1:1194'],
    ['fe80::1%3', 1194, '[AF_INET6]fe80::1%3:1194'],
    ['::', 0, '[AF_INET6][undef]:0'],
    ['0.0.0.0', 1194, '[AF_INET][undef]:1194'],
  ])('writes %s port %i as %s and reads it back', (host, port, text) => {
    const endpoint = parseEndpoint(host, port);
    if (endpoint === undefined) throw new Error('refused');
    expect(formatEndpoint(endpoint)).toBe(text);
    const words = linkAddress(endpoint, 5);
    expect(formatLinkAddress(words)).toBe(text);
    const back = parseLinkAddress(text, 5);
    expect(back).toEqual(words);
  });

  it('calls an empty address unspecified', () => {
    expect(formatLinkAddress(new Uint32Array(ADDRESS_WORDS))).toBe('[AF_UNSPEC]');
    expect(endpointOf(new Uint32Array(ADDRESS_WORDS))).toBeUndefined();
  });

  it.each([
    ['192.0.2.256', 1],
    ['192.0.2', 1],
    ['010.0.0.1', 1],
    ['example.org', 1],
    ['', 1],
    ['1:2', 1],
    [':::', 1],
    ['fe80::1%eth0', 1],
    ['192.0.2.1', -1],
    ['192.0.2.1', 65536],
    ['192.0.2.1', 1.5],
  ])('refuses %s port %d', (host, port) => {
    expect(parseEndpoint(host, port)).toBeUndefined();
  });

  it.each([
    '',
    '192.0.2.1',
    '[AF_INET]2001:db8::1:1',
    '[AF_INET6]192.0.2.1:1',
    '192.0.2.1:99999',
    '[AF_UNIX]x:1',
    '[AF_UNSPEC]',
  ])('does not read %j', (text) => {
    expect(parseLinkAddress(text)).toBeUndefined();
  });

  it('throws on words that we asked for wrongly', () => {
    expect(() => linkAddress({ family: 4, address: '2001:db8::1', port: 1 })).toThrow(RangeError);
    expect(() => linkAddress({ family: 6, address: '192.0.2.1', port: 1 })).toThrow(RangeError);
  });

  it('compares every word', () => {
    const a = linkAddress({ family: 6, address: '2001:db8::1', port: 1194, scope: 2 }, 1);
    expect(sameLinkAddress(a, a.slice())).toBe(true);
    for (let word = 0; word < ADDRESS_WORDS; word += 1) {
      const b = a.slice();
      b[word] ^= 1;
      expect(sameLinkAddress(a, b)).toBe(false);
    }
  });

  it('reads what it writes, for any address', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 }),
        fc.nat(65535),
        fc.boolean(),
        (parts, port, v4) => {
          const words = new Uint32Array(ADDRESS_WORDS);
          words[ADDRESS_FAMILY] = v4 ? 4 : 6;
          words[ADDRESS_PORT] = port;
          for (let i = 0; i < (v4 ? 1 : 4); i += 1) words[ADDRESS_HOST + i] = parts[2 * i] * 65536 + parts[2 * i + 1];
          expect(parseLinkAddress(formatLinkAddress(words))).toEqual(words);
        },
      ),
      { seed: 1, numRuns: 300 },
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'0123456789abcf:.[]AFINET6%x') }), (text) => {
        parseLinkAddress(text);
      }),
      { seed: 1, numRuns: 1000 },
    );
  });
});
