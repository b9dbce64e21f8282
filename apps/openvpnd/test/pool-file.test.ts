import { AddressPool, formatInnerAddress, parseInnerAddress } from '@openvpnd/internal-mux';
import { describe, expect, test } from 'vitest';
import { poolFileText, readPoolFile } from '../src/server/pool-file.js';

function pool(withIpv6 = true): AddressPool {
  const parse = (text: string): Uint8Array => parseInnerAddress(text) ?? new Uint8Array();
  return new AddressPool({
    ipv4: { topology: 'subnet', start: parse('10.8.0.2'), end: parse('10.8.0.254') },
    ...(withIpv6 && { ipv6: { start: parse('fd08::1000'), bits: 64 } }),
  });
}

const warnings = (lines: ReturnType<typeof readPoolFile>): string[] =>
  lines.filter((line) => line.verb === 1).map((line) => line.text);

describe('a file of ifconfig-pool-persist', () => {
  test('what the stock program makes of a mixed file', () => {
    const made = pool();
    const lines = readPoolFile(
      made,
      'nobody,10.8.0.9,\nforeign line\nbad,10.99.0.1\nclient1,10.8.0.20,fd08::1012\n#comment\nold,10.8.0.30\nempty,,\nv6only,,fd08::1020\n,10.8.0.40\n',
      false,
    );
    // As openvpn 2.6.14 wrote it back.
    expect(poolFileText(made)).toBe(
      'nobody,10.8.0.9,fd08::1007\nclient1,10.8.0.20,fd08::1012\nold,10.8.0.30,fd08::101c\nv6only,10.8.0.34,fd08::1020\n,10.8.0.40,fd08::1026\n',
    );
    expect(warnings(lines)).toEqual([
      "pool: a line without an address is ignored: 'foreign line'",
      'pool: IPv4 (10.99.0.1) out of pool range for CN=bad',
      "pool: a line without an address is ignored: 'empty,,'",
    ]);
    expect(lines.map((line) => line.text)).toContain('succeeded -> ifconfig_pool_set(hand=18)');
  });

  test('without IPv6 the last field is empty', () => {
    const made = pool(false);
    expect(warnings(readPoolFile(made, 'client1,10.8.0.20,fd08::1012\n', false))).toEqual([
      'pool: IPv6 (fd08::1012) out of pool range for CN=client1',
    ]);
    expect(poolFileText(made)).toBe('client1,10.8.0.20,\n');
  });

  test('contradictions, junk and double claims are told, and nothing throws', () => {
    const made = pool();
    const lines = readPoolFile(
      made,
      'a,10.8.0.2,fd08::1005\nb,10.8.0.2\na,10.8.0.9\nc,10.8.0.300\nd,,zz\n\x00\xff\x1b[2J,\n\r\nlong' +
        'x'.repeat(100_000),
      false,
    );
    expect(poolFileText(made)).toBe('a,10.8.0.2,fd08::1000\n');
    expect(warnings(lines)).toEqual([
      'pool: IPv4 (10.8.0.2) and IPv6 (fd08::1005) have different offsets! Relying on IPv4 for CN=a',
      'pool: 10.8.0.2 is spoken for, or CN=b has another one',
      'pool: 10.8.0.9 is spoken for, or CN=a has another one',
      'pool: invalid IPv4 (10.8.0.300) for CN=c',
      'pool: invalid IPv6 (zz) for CN=d',
      "pool: a line without an address is ignored: '???[2J,'",
      "pool: a line without an address is ignored: '?'",
      `pool: a line without an address is ignored: 'long${'x'.repeat(252)}'`,
    ]);
  });

  test('a fixed file keeps addresses for their names; a name that would break the file is not written', () => {
    const made = pool();
    readPoolFile(made, 'a,10.8.0.2\n', true);
    expect(formatInnerAddress(made.acquire('b')?.ipv4 ?? new Uint8Array(4))).toBe('10.8.0.3');
    made.acquire('x,y');
    expect(poolFileText(made)).toBe('a,10.8.0.2,fd08::1000\nb,10.8.0.3,fd08::1001\n');
  });
});
