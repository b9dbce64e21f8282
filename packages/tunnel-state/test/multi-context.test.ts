import { MultiContext, type MultiContextOptions } from '@openvpnd/tunnel-state';
import { describe, expect, it } from 'vitest';

interface Modules {
  readonly name: string;
}

function address(number: number): Uint32Array {
  return Uint32Array.of(4, 1000 + number, 0x0a000001, 0, 0, 0, 0, 1);
}

function makeContext(options: Partial<MultiContextOptions> = {}): MultiContext<Modules> {
  return new MultiContext<Modules>({ maxInstances: 4, slotRestMs: 0, ...options });
}

/** Lets a client in and tells its slot and whom it pushed out. */
function enter(
  context: MultiContext<Modules>,
  number: number,
  now = number,
): { slot: number | undefined; evicted: string | undefined } {
  const { slot, evicted } = context.allocate(now, address(number));
  if (slot !== undefined) context.add(slot, { name: `client ${number}` });
  return { slot, evicted: evicted?.modules.name };
}

describe('MultiContext', () => {
  it('finds a client by slot, address and name', () => {
    const context = makeContext();
    expect(enter(context, 1)).toEqual({ slot: 0, evicted: undefined });
    enter(context, 2);
    expect(context.setCommonName(1, 'bob')).toEqual([]);
    const bob = context.bySlot(1);
    expect(bob).toMatchObject({
      mode: 'CM_CHILD_UDP',
      slot: 1,
      since: 2,
      commonName: 'bob',
      state: 'half-open',
      modules: { name: 'client 2' },
    });
    expect(context.byAddress(address(2))).toBe(bob);
    expect(context.byCommonName('bob')).toEqual([bob]);
    expect(context.bySlot(2)).toBeUndefined();
    expect(context.bySlot(99)).toBeUndefined();
    expect(context.byAddress(address(3))).toBeUndefined();
    expect(context.byCommonName('alice')).toEqual([]);
    expect([...context.instances()].map(({ slot }) => slot)).toEqual([0, 1]);
    expect([context.size, context.halfOpenCount]).toEqual([2, 2]);
  });

  it('knows a client of a stream', () => {
    const context = makeContext();
    const { slot } = context.allocate(0, address(1), 'tcp');
    expect(context.add(slot ?? -1, { name: 'x' }).mode).toBe('CM_CHILD_TCP');
  });

  it('forgets a client whole', () => {
    const context = makeContext();
    enter(context, 1);
    context.setCommonName(0, 'alice');
    expect(context.remove(0)?.modules.name).toBe('client 1');
    expect(context.remove(0)).toBeUndefined();
    expect([context.bySlot(0), context.byAddress(address(1))]).toEqual([undefined, undefined]);
    expect(context.byCommonName('alice')).toEqual([]);
    expect([context.size, context.halfOpenCount]).toEqual([0, 0]);
    expect(enter(context, 1).slot).toBe(0);
  });

  it('does not give a slot again at once, so that nobody answers for its former owner', () => {
    const context = makeContext({ slotRestMs: 1000 });
    enter(context, 1, 0);
    context.remove(0);
    expect(enter(context, 2, 10).slot).toBe(1);
    expect(enter(context, 3, 1010).slot).toBe(0);
  });

  it('pushes out the oldest half-open client when it is full', () => {
    const context = makeContext();
    for (const number of [1, 2, 3, 4]) enter(context, number);
    context.establish(0);
    expect(enter(context, 5)).toEqual({ slot: 1, evicted: 'client 2' });
    expect(enter(context, 6)).toEqual({ slot: 2, evicted: 'client 3' });
    expect(context.byAddress(address(2))).toBeUndefined();
    expect(context.size).toBe(4);
  });

  it('never pushes out an established one', () => {
    const context = makeContext();
    for (const number of [1, 2, 3, 4]) {
      const { slot } = enter(context, number);
      context.establish(slot ?? -1);
    }
    expect(context.halfOpenCount).toBe(0);
    for (let number = 5; number < 100; number += 1)
      expect(enter(context, number)).toEqual({ slot: undefined, evicted: undefined });
    expect([...context.instances()].map(({ modules }) => modules.name)).toEqual([
      'client 1',
      'client 2',
      'client 3',
      'client 4',
    ]);
    context.remove(2);
    expect(enter(context, 5).slot).toBe(2);
  });

  it('bounds half-open clients by themselves', () => {
    const context = makeContext({ maxHalfOpen: 2 });
    enter(context, 1);
    enter(context, 2);
    expect(enter(context, 3).evicted).toBe('client 1');
    context.establish(context.byAddress(address(2))?.slot ?? -1);
    expect(enter(context, 4).evicted).toBeUndefined();
    expect(enter(context, 5).evicted).toBe('client 3');
    expect(context.size).toBe(3);
  });

  it('survives a flood with one established client', () => {
    const context = makeContext({ maxInstances: 16, slotRestMs: 60_000 });
    enter(context, 0);
    context.establish(0);
    for (let number = 1; number < 5000; number += 1) enter(context, number);
    expect(context.size).toBe(16);
    expect(context.bySlot(0)?.modules.name).toBe('client 0');
  });

  it('tells who has to go when a name comes again', () => {
    const context = makeContext();
    for (const number of [1, 2, 3]) enter(context, number);
    expect(context.setCommonName(0, 'alice')).toEqual([]);
    expect(context.setCommonName(1, 'bob')).toEqual([]);
    expect(context.setCommonName(2, 'alice').map(({ slot }) => slot)).toEqual([0]);
    // It is the caller who removes; until then both are found, the oldest first.
    expect(context.byCommonName('alice').map(({ slot }) => slot)).toEqual([0, 2]);
    context.remove(0);
    expect(context.setCommonName(2, 'alice')).toEqual([]);
  });

  it('lets several of a name in with duplicate-cn', () => {
    const context = makeContext({ duplicateCommonNames: true });
    for (const number of [1, 2]) enter(context, number);
    context.setCommonName(0, 'alice');
    expect(context.setCommonName(1, 'alice')).toEqual([]);
    expect(context.byCommonName('alice')).toHaveLength(2);
  });

  it('moves a client, but not onto another', () => {
    const context = makeContext();
    enter(context, 1);
    enter(context, 2);
    expect(context.setAddress(0, address(9))).toBe(true);
    expect(context.byAddress(address(9))?.slot).toBe(0);
    expect(context.byAddress(address(1))).toBeUndefined();
    expect(context.setAddress(0, address(2))).toBe(false);
    expect(context.byAddress(address(2))?.slot).toBe(1);
    expect(context.setAddress(0, address(9))).toBe(true);
    expect(context.bySlot(0)?.address).toEqual(address(9));
    expect(enter(context, 1).slot).toBe(2);
  });

  it('has one client for an address', () => {
    const context = makeContext();
    enter(context, 1);
    expect(enter(context, 1)).toEqual({ slot: undefined, evicted: undefined });
  });

  it('copies the address', () => {
    const context = makeContext();
    const words = address(1);
    context.add(context.allocate(0, words).slot ?? -1, { name: 'x' });
    words.fill(0);
    expect(context.bySlot(0)?.address).toEqual(address(1));
  });

  it('shows a slot only with its modules, and takes it back without', () => {
    const context = makeContext();
    const { slot } = context.allocate(0, address(1));
    expect([slot, context.bySlot(0), [...context.instances()]]).toEqual([0, undefined, []]);
    expect(context.remove(0)).toBeUndefined();
    expect(context.size).toBe(0);
    expect(() => context.add(0, { name: 'x' })).toThrow();
    context.allocate(0, address(1));
    context.add(0, { name: 'x' });
    expect(() => context.add(0, { name: 'y' })).toThrow();
  });

  it('bears removals while it is walked through', () => {
    const context = makeContext();
    for (const number of [1, 2, 3]) enter(context, number);
    const seen: string[] = [];
    for (const instance of context.instances()) {
      seen.push(instance.modules.name);
      context.remove(instance.slot);
      context.remove(instance.slot + 1);
    }
    expect(seen).toEqual(['client 1', 'client 3']);
  });

  it('throws at what we made up', () => {
    expect(() => makeContext({ maxInstances: 0 })).toThrow(RangeError);
    expect(() => makeContext({ maxInstances: 0x1000000 })).toThrow(RangeError);
    expect(() => makeContext({ maxHalfOpen: 0 })).toThrow(RangeError);
    expect(() => makeContext().establish(1)).toThrow(RangeError);
    expect(() => makeContext().setCommonName(1, 'x')).toThrow(RangeError);
  });
});
