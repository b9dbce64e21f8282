import { AddressTable, linkAddress } from '@openvpnd/external-mux';
import { ADDRESS_WORDS, NO_SLOT } from '@openvpnd/memory';
import { SeededRandom } from '@openvpnd/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

function address(number: number): Uint32Array {
  return linkAddress({ family: 4, address: `10.0.${number >> 8}.${number & 0xff}`, port: 1194 }, 1);
}

describe('AddressTable', () => {
  it('finds what was added and nothing else', () => {
    const table = new AddressTable({ maxEntries: 10, random: new SeededRandom(1) });
    expect(table.add(address(1), 7)).toBe(true);
    expect(table.lookup(address(1), 0)).toBe(7);
    for (let word = 0; word < ADDRESS_WORDS; word += 1) {
      const other = address(1);
      other[word] ^= 1;
      expect(table.lookup(other, 0)).toBe(NO_SLOT);
    }
  });

  it('does not add twice, nor more than it may', () => {
    const table = new AddressTable({ maxEntries: 2, random: new SeededRandom(1) });
    expect(table.add(address(1), 1)).toBe(true);
    expect(table.add(address(1), 2)).toBe(false);
    expect(table.lookup(address(1), 0)).toBe(1);
    expect(table.add(address(2), 2)).toBe(true);
    expect(table.add(address(3), 3)).toBe(false);
    expect(table.remove(address(1))).toBe(true);
    expect(table.remove(address(1))).toBe(false);
    expect(table.add(address(3), 3)).toBe(true);
    expect(table.size).toBe(2);
  });

  it('agrees with a map over any sequence of operations', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('add', 'remove'), fc.nat(40)), { maxLength: 200 }),
        fc.nat(),
        (operations, seed) => {
          const table = new AddressTable({ maxEntries: 24, random: new SeededRandom(seed) });
          const model = new Map<number, number>();
          for (const [index, [operation, key]] of operations.entries()) {
            if (operation === 'add') {
              const expected = !model.has(key) && model.size < 24;
              expect(table.add(address(key), index)).toBe(expected);
              if (expected) model.set(key, index);
            } else {
              expect(table.remove(address(key))).toBe(model.delete(key));
            }
            expect(table.size).toBe(model.size);
          }
          for (let key = 0; key <= 40; key += 1) expect(table.lookup(address(key), 0)).toBe(model.get(key) ?? NO_SLOT);
        },
      ),
      { seed: 1, numRuns: 200 },
    );
  });
});
