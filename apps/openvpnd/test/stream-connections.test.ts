import { linkAddress } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import { NEVER } from '@openvpnd/sans-io';
import { describe, expect, test } from 'vitest';
import { StreamConnections } from '../src/server/stream-connections.js';

function from(link: number): LinkAddress {
  return linkAddress({ family: 4, address: '192.0.2.7', port: 4000 + link }, link);
}

describe('the connections of a server', () => {
  test('that stay silent are overdue when their time is over, those that were heard are not', () => {
    const streams = new StreamConnections({ windowMs: 1000, maxSilent: 10 });
    expect(streams.nextTimeout()).toBe(NEVER);
    for (const link of [1, 2, 3]) expect(streams.add(link * 100, from(link))).toBeUndefined();
    streams.markHeard(2);
    expect(streams.nextTimeout()).toBe(1100);
    expect(streams.overdue(1099)).toEqual([]);
    expect(streams.overdue(1299)).toEqual([1]);
    expect(streams.overdue(1300)).toEqual([1, 3]);
    streams.remove(1);
    streams.remove(3);
    expect(streams.nextTimeout()).toBe(NEVER);
    expect(streams.has(2)).toBe(true);
  });

  test('are known until they are removed, and by their link', () => {
    const streams = new StreamConnections({ windowMs: 1000, maxSilent: 10 });
    streams.add(0, from(5));
    expect(streams.has(5)).toBe(true);
    expect(streams.has(6)).toBe(false);
    expect(streams.remove(5)).toEqual(from(5));
    expect(streams.remove(5)).toBeUndefined();
    expect(streams.has(5)).toBe(false);
  });

  test('that are silent are limited: the oldest goes', () => {
    const streams = new StreamConnections({ windowMs: 1000, maxSilent: 2 });
    expect([1, 2, 3].map((link) => streams.add(0, from(link)))).toEqual([undefined, undefined, 1]);
    streams.remove(1);
    streams.markHeard(2);
    expect(streams.add(0, from(4))).toBeUndefined();
  });
});
