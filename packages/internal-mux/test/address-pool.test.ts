import {
  AddressPool,
  type AddressPoolOptions,
  formatInnerAddress,
  MAX_POOL_ADDRESSES,
  parseInnerAddress,
} from '@openvpnd/internal-mux';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function address(text: string): Uint8Array {
  const result = parseInnerAddress(text);
  if (result === undefined) throw new Error(text);
  return result;
}

function range(start: string, end: string, topology: 'subnet' | 'net30' | 'p2p' = 'subnet'): AddressPoolOptions {
  return { ipv4: { topology, start: address(start), end: address(end) } };
}

function ipv4(pool: AddressPool, name: string): string | undefined {
  const lease = pool.acquire(name);
  return lease?.ipv4 && formatInnerAddress(lease.ipv4);
}

/** A pool of four: 10.8.0.2 … 10.8.0.5. */
function four(options: Partial<AddressPoolOptions> = {}): AddressPool {
  return new AddressPool({ ...range('10.8.0.2', '10.8.0.5'), ...options });
}

describe('AddressPool', () => {
  it('gives addresses one by one, in order', () => {
    const pool = four();
    expect(pool.size).toBe(4);
    expect(['a', 'b', 'c', 'd'].map((name) => ipv4(pool, name))).toEqual([
      '10.8.0.2',
      '10.8.0.3',
      '10.8.0.4',
      '10.8.0.5',
    ]);
    expect(pool.available).toBe(0);
  });

  it('is clean when it is empty, and recovers', () => {
    const pool = four();
    for (const name of ['a', 'b', 'c', 'd']) pool.acquire(name);
    for (let client = 5; client <= 10; client += 1) expect(pool.acquire(`client ${client}`)).toBeUndefined();
    expect(pool.release(1)).toBe(true);
    expect(pool.release(1)).toBe(false);
    expect(ipv4(pool, 'e')).toBe('10.8.0.3');
    expect(pool.acquire('b')).toBeUndefined();
  });

  it('gives what is fixed to its owner alone', () => {
    const pool = four();
    expect(pool.restore('a', address('10.8.0.3'), true)).toBe(true);
    expect(['b', 'c', 'd', 'e'].map((name) => ipv4(pool, name))).toEqual([
      '10.8.0.2',
      '10.8.0.4',
      '10.8.0.5',
      undefined,
    ]);
    expect(pool.available).toBe(0);
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
    expect(pool.release(1)).toBe(true);
    expect(pool.keepOut(address('10.8.0.3'))).toBe('kept');
    expect(pool.letIn(address('10.8.0.3'))).toBe(true);
    expect(pool.acquire('e')).toBeUndefined();
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
  });

  it('gives a client back what it had', () => {
    const pool = four();
    const leases = ['a', 'b', 'c'].map((name) => pool.acquire(name));
    for (const lease of leases) pool.release(lease?.index ?? -1);
    expect(['c', 'a', 'b'].map((name) => ipv4(pool, name))).toEqual(['10.8.0.4', '10.8.0.2', '10.8.0.3']);
  });

  it('gives strangers what has been free longest, so that claims last', () => {
    const pool = four();
    for (const name of ['a', 'b', 'c', 'd']) pool.acquire(name);
    for (const index of [2, 0, 3]) pool.release(index);
    expect(['x', 'y'].map((name) => ipv4(pool, name))).toEqual(['10.8.0.4', '10.8.0.2']);
    expect(ipv4(pool, 'd')).toBe('10.8.0.5');
    expect(ipv4(pool, 'c')).toBeUndefined();
  });

  it('does not give a client that is still here the same address again', () => {
    const pool = four();
    expect([ipv4(pool, 'a'), ipv4(pool, 'a')]).toEqual(['10.8.0.2', '10.8.0.3']);
    pool.release(0);
    pool.release(1);
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
  });

  it('has no claims with duplicate common names', () => {
    const pool = four({ duplicateCommonNames: true });
    for (const name of ['a', 'a', 'a']) pool.acquire(name);
    pool.release(1);
    expect([ipv4(pool, 'a'), ipv4(pool, 'a'), ipv4(pool, 'a')]).toEqual(['10.8.0.5', '10.8.0.3', undefined]);
  });

  it('forgets a claim when told', () => {
    const pool = four();
    pool.acquire('a');
    pool.release(0, true);
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
    expect(pool.entries()).toHaveLength(1);
  });

  it('gives each client of net30 a /30 of its own', () => {
    const pool = new AddressPool(range('10.8.0.4', '10.8.0.251', 'net30'));
    expect(pool.size).toBe(62);
    const lease = pool.acquire('a');
    expect([lease?.ipv4Peer, lease?.ipv4].map((bytes) => formatInnerAddress(bytes ?? new Uint8Array(4)))).toEqual([
      '10.8.0.5',
      '10.8.0.6',
    ]);
    expect(ipv4(pool, 'b')).toBe('10.8.0.10');
    expect(pool.indexOf(address('10.8.0.11'))).toBe(1);
    expect(() => new AddressPool(range('10.8.0.2', '10.8.0.251', 'net30'))).toThrow(RangeError);
  });

  it('gives single addresses in p2p', () => {
    const lease = new AddressPool(range('10.8.0.2', '10.8.0.9', 'p2p')).acquire('a');
    expect(lease).toEqual({ index: 0, ipv4: address('10.8.0.2') });
  });

  it('gives IPv6 beside IPv4, under the same index', () => {
    const pool = four({ ipv6: { start: address('fd00::1000'), bits: 64 } });
    expect(pool.size).toBe(4);
    pool.acquire('a');
    const lease = pool.acquire('b');
    expect(lease?.index).toBe(1);
    expect(formatInnerAddress(lease?.ipv4 ?? new Uint8Array(4))).toBe('10.8.0.3');
    expect(formatInnerAddress(lease?.ipv6 ?? new Uint8Array(16))).toBe('fd00::1001');
    expect(pool.indexOf(address('fd00::1001'))).toBe(1);
    expect(pool.indexOf(address('fd00::1004'))).toBeUndefined();
    expect(pool.indexOf(address('fd00::fff'))).toBeUndefined();
    expect(pool.indexOf(address('fd00:0:0:1::1000'))).toBeUndefined();
  });

  it('gives IPv6 alone, to the end of the network', () => {
    expect(new AddressPool({ ipv6: { start: address('fd00::fffe'), bits: 112 } }).size).toBe(2);
    expect(new AddressPool({ ipv6: { start: address('fd00::ffff:ffff:ffff:fffe'), bits: 64 } }).size).toBe(2);
    expect(new AddressPool({ ipv6: { start: address('fd00::1000'), bits: 64 } }).size).toBe(MAX_POOL_ADDRESSES);
    expect(new AddressPool({ ipv6: { start: address('fd00::ffff:ffff:ffff:ffff'), bits: 64 } }).acquire('a')).toEqual({
      index: 0,
      ipv6: address('fd00::ffff:ffff:ffff:ffff'),
    });
  });

  it('refuses ranges that are none', () => {
    expect(() => new AddressPool({})).toThrow(RangeError);
    expect(() => new AddressPool(range('10.8.0.5', '10.8.0.4'))).toThrow(RangeError);
    expect(() => new AddressPool(range('10.0.0.0', '10.1.0.0'))).toThrow(RangeError);
    expect(new AddressPool(range('10.0.0.0', '10.0.255.255')).size).toBe(MAX_POOL_ADDRESSES);
    expect(() => new AddressPool({ ipv6: { start: address('fd00::'), bits: 128 } })).toThrow(RangeError);
    expect(() => new AddressPool({ ipv6: { start: address('10.8.0.1'), bits: 64 } })).toThrow(RangeError);
  });

  it('keeps static addresses out, as long as they are taken', () => {
    const pool = four();
    expect(pool.keepOut(address('10.8.0.2'))).toBe('kept');
    expect(pool.keepOut(address('10.8.0.2'))).toBe('kept');
    expect(pool.keepOut(address('10.8.0.9'))).toBe('outside');
    expect(pool.keepOut(address('fd00::1'))).toBe('outside');
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
    expect(pool.keepOut(address('10.8.0.3'))).toBe('leased');
    expect(pool.available).toBe(2);
    expect(pool.letIn(address('10.8.0.2'))).toBe(true);
    expect(pool.letIn(address('10.8.0.2'))).toBe(false);
    expect(pool.letIn(address('10.8.0.3'))).toBe(false);
    expect(['b', 'c', 'd', 'e'].map((name) => ipv4(pool, name))).toEqual([
      '10.8.0.4',
      '10.8.0.5',
      '10.8.0.2',
      undefined,
    ]);
  });

  it('does not give a claim that is kept out', () => {
    const pool = four();
    pool.acquire('a');
    pool.release(0);
    pool.keepOut(address('10.8.0.2'));
    expect(ipv4(pool, 'a')).toBe('10.8.0.3');
  });

  it('restores claims from an earlier life, and gives them away last', () => {
    const pool = four();
    expect(pool.restore('old', address('10.8.0.2'))).toBe(true);
    expect(pool.restore('old', address('10.8.0.3'))).toBe(false);
    expect(pool.restore('other', address('10.8.0.2'))).toBe(false);
    expect(pool.restore('other', address('10.9.0.2'))).toBe(false);
    expect(pool.entries()).toMatchObject([{ commonName: 'old', inUse: false, lease: { index: 0 } }]);
    expect(['x', 'y'].map((name) => ipv4(pool, name))).toEqual(['10.8.0.3', '10.8.0.4']);
    expect(pool.restore('late', address('10.8.0.3'))).toBe(false);
    expect(ipv4(pool, 'old')).toBe('10.8.0.2');
    expect(pool.entries().map(({ commonName, inUse }) => [commonName, inUse])).toEqual([
      ['old', true],
      ['x', true],
      ['y', true],
    ]);
  });

  it('never gives one address to two, over any sequence of operations', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('acquire', 'release', 'keepOut', 'letIn'), fc.nat(5)), { maxLength: 120 }),
        fc.boolean(),
        (operations, duplicateCommonNames) => {
          const pool = four({ duplicateCommonNames });
          const leased = new Set<number>();
          const kept = new Set<number>();
          for (const [operation, number] of operations) {
            const static_ = Uint8Array.of(10, 8, 0, 2 + number);
            if (operation === 'acquire') {
              const lease = pool.acquire(`client ${number}`);
              if (lease === undefined) expect(leased.size + kept.size).toBe(4);
              else {
                expect(leased.has(lease.index) || kept.has(lease.index)).toBe(false);
                leased.add(lease.index);
              }
            } else if (operation === 'release') {
              expect(pool.release(number)).toBe(leased.delete(number));
            } else if (operation === 'keepOut') {
              const expected = number > 3 ? 'outside' : leased.has(number) ? 'leased' : 'kept';
              expect(pool.keepOut(static_)).toBe(expected);
              if (expected === 'kept') kept.add(number);
            } else {
              expect(pool.letIn(static_)).toBe(kept.delete(number));
            }
            expect(pool.available).toBe(4 - leased.size - kept.size);
          }
        },
      ),
      { seed: 1, numRuns: 300 },
    );
  });
});
