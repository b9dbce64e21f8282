import { type Prefix, PrefixTable, parseInnerAddress, parsePrefix, prefixOf } from '@openvpnd/internal-mux';
import { NO_SLOT } from '@openvpnd/memory';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function prefix(text: string): Prefix {
  const result = parsePrefix(text);
  if (result === undefined) throw new Error(text);
  return result;
}

function lookup(table: PrefixTable, address: string | Uint8Array): number {
  const bytes = typeof address === 'string' ? parseInnerAddress(address) : address;
  if (bytes === undefined) throw new Error(String(address));
  return table.lookup(new DataView(bytes.buffer, bytes.byteOffset), 0);
}

describe('PrefixTable', () => {
  it('finds the longest prefix', () => {
    const table = new PrefixTable(4);
    table.set(prefix('0.0.0.0/0'), 1);
    table.set(prefix('10.0.0.0/8'), 2);
    table.set(prefix('10.8.0.0/16'), 3);
    table.set(prefix('10.8.0.6/32'), 4);
    expect(['192.0.2.1', '10.9.0.1', '10.8.0.1', '10.8.0.6'].map((address) => lookup(table, address))).toEqual([
      1, 2, 3, 4,
    ]);
    expect(table.delete(prefix('10.8.0.6/32'))).toBe(true);
    expect(table.delete(prefix('0.0.0.0/0'))).toBe(true);
    expect(table.delete(prefix('0.0.0.0/0'))).toBe(false);
    expect(['192.0.2.1', '10.8.0.6'].map((address) => lookup(table, address))).toEqual([NO_SLOT, 3]);
    expect(table.get(prefix('10.0.0.0/8'))).toBe(2);
    expect(table.get(prefix('10.0.0.0/9'))).toBe(NO_SLOT);
  });

  it('does so in IPv6, across its words', () => {
    const table = new PrefixTable(6);
    for (const [index, length] of [0, 31, 32, 33, 64, 65, 96, 127, 128].entries()) {
      table.set(prefixOf(new Uint8Array(16).fill(0xff), length), index);
    }
    const ones = new Uint8Array(16).fill(0xff);
    expect(lookup(table, ones)).toBe(8);
    for (const [bit, expected] of [
      [127, 7],
      [126, 6],
      [95, 5],
      [64, 4],
      [63, 3],
      [32, 2],
      [31, 1],
      [30, 0],
    ]) {
      const address = ones.slice();
      address[bit >> 3] ^= 0x80 >> (bit & 7);
      expect(lookup(table, address)).toBe(expected);
    }
  });

  it('does not remember an answer past a change', () => {
    const table = new PrefixTable(4);
    expect(lookup(table, '10.8.0.1')).toBe(NO_SLOT);
    table.set(prefix('10.8.0.0/24'), 1);
    expect(lookup(table, '10.8.0.1')).toBe(1);
    table.set(prefix('10.8.0.1/32'), 2);
    expect(lookup(table, '10.8.0.1')).toBe(2);
    table.delete(prefix('10.8.0.1/32'));
    expect(lookup(table, '10.8.0.1')).toBe(1);
  });

  it('throws at prefixes that we made up', () => {
    const table = new PrefixTable(4);
    expect(() => table.set(prefix('fd00::/64'), 1)).toThrow(RangeError);
    expect(() => table.set({ address: Uint8Array.of(1, 2, 3, 4), length: 33 }, 1)).toThrow(RangeError);
  });

  it.each([4, 6] as const)('agrees with a search through a list (IPv%i)', (family) => {
    const bytes = family === 4 ? 4 : 16;
    // Few different bytes, so that prefixes nest and addresses hit.
    const address = fc
      .array(fc.constantFrom(0, 1, 0x80, 0xff), { minLength: bytes, maxLength: bytes })
      .map((list) => Uint8Array.from(list));
    fc.assert(
      fc.property(
        fc.array(fc.tuple(address, fc.nat(bytes * 8), fc.boolean()), { maxLength: 150 }),
        fc.array(address, { minLength: 20, maxLength: 20 }),
        (operations, probes) => {
          const table = new PrefixTable(family);
          const model = new Map<string, { prefix: Prefix; slot: number }>();
          for (const [slot, [from, length, add]] of operations.entries()) {
            const entry = prefixOf(from, length);
            const key = `${entry.address.join()}/${length}`;
            if (add) {
              table.set(entry, slot);
              model.set(key, { prefix: entry, slot });
            } else {
              expect(table.delete(entry)).toBe(model.delete(key));
            }
          }
          expect(table.size).toBe(model.size);
          for (const probe of [...probes, ...operations.map(([from]) => from)]) {
            let best: { prefix: Prefix; slot: number } | undefined;
            for (const entry of model.values()) {
              const holds = prefixOf(probe, entry.prefix.length).address.join() === entry.prefix.address.join();
              if (holds && (best === undefined || entry.prefix.length > best.prefix.length)) best = entry;
            }
            expect(lookup(table, probe)).toBe(best?.slot ?? NO_SLOT);
          }
        },
      ),
      { seed: 1, numRuns: 100 },
    );
  });

  it.each([4, 6] as const)('IPv%i: costs with 10 000 routes as many steps as with 10', (family) => {
    const lengths = family === 4 ? [32, 24, 16] : [128, 64, 48];
    // All differ in their first two bytes, so that each length has its own.
    const network = (index: number): Uint8Array => {
      const address = new Uint8Array(family === 4 ? 4 : 16);
      address.set([index >> 8, index & 0xff, 1, 1]);
      return address;
    };
    const costs = (routes: number): { mean: number; most: number } => {
      const table = new PrefixTable(family);
      for (let index = 0; index < routes; index += 1) {
        table.set(prefixOf(network(index), lengths[index % lengths.length]), index);
      }
      const steps = Array.from({ length: routes }, (_, index) => table.stepsOf(network(index)));
      // Who is at home behind none of them asks for each length in vain.
      for (let index = 0; index < 4096; index += 1) steps.push(table.stepsOf(network(0xffff - index)));
      return { mean: steps.reduce((sum, one) => sum + one, 0) / steps.length, most: Math.max(...steps) };
    };
    const [few, many] = [costs(10), costs(10_000)];
    expect(many.mean).toBeLessThan(2 * few.mean);
    expect(many.most).toBeLessThan(40);
  });
});
