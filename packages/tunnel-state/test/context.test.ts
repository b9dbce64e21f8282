import { Context, TopContext } from '@openvpnd/tunnel-state';
import { describe, expect, it } from 'vitest';

describe('Context', () => {
  it('has one tunnel at a time, and options for ever', () => {
    const context = new Context<{ port: number }, { name: string }>({ options: { port: 1194 } });
    expect([context.mode, context.state.name, context.closeInstance()]).toEqual(['CM_P2P', 'closed', undefined]);
    context.openInstance(5, { name: 'first' });
    expect(context.state).toEqual({ name: 'open', since: 5, modules: { name: 'first' } });
    expect(() => context.openInstance(6, { name: 'second' })).toThrow();
    expect(context.closeInstance()).toEqual({ name: 'first' });
    context.openInstance(7, { name: 'second' });
    expect([context.instances, context.options.port]).toEqual([2, 1194]);
  });
});

describe('TopContext', () => {
  it('is no tunnel', () => {
    const top = new TopContext({ options: { port: 1194 }, modules: { links: 2 } });
    expect([top.mode, top.options.port, top.modules.links]).toEqual(['CM_TOP', 1194, 2]);
    expect(top).not.toHaveProperty('slot');
  });
});
