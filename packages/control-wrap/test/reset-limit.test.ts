import { describe, expect, test } from 'vitest';
import { DEFAULT_RESET_LIMIT } from '../src/index.js';
import { ResetLimit } from '../src/reset-limit.js';
import { sipHash24 } from '../src/siphash.js';
import { fromHex, toHex, vectors } from './vectors.js';

const random = { fill: (target: Uint8Array): void => target.set(target.map((_, i) => i * 31 + 5)) };

/** IPv4 by number; a host of its own in each /24 below. */
function host(number: number): Uint32Array {
  return Uint32Array.of(4, 40000, number >>> 0, 0, 0, 0, 0, 1);
}

function ipv6(first: number, second: number, third = 0): Uint32Array {
  return Uint32Array.of(6, 40000, first, second, third, 1, 0, 1);
}

function count(limit: ResetLimit, now: number, address: Uint32Array, tries: number): number {
  let taken = 0;
  for (let i = 0; i < tries; i++) if (limit.take(now, address)) taken++;
  return taken;
}

test('one prefix has its own replies and then the shared ones', () => {
  const limit = new ResetLimit(DEFAULT_RESET_LIMIT, random);
  expect(count(limit, 0, host(0x0a000001), 1000)).toBe(8 + 100);
  expect(count(limit, 9999, host(0x0a0000ff), 10)).toBe(0);
  expect(count(limit, 10_000, host(0x0a000001), 1000)).toBe(8 + 100);
});

test('a flood from elsewhere leaves a newcomer its replies', () => {
  const limit = new ResetLimit(DEFAULT_RESET_LIMIT, random);
  count(limit, 0, host(0x0a000001), 10_000);
  expect(count(limit, 1, host(0x0b000001), 10)).toBe(8);
  // Without them the flood locks everybody out.
  const shared = new ResetLimit({ ...DEFAULT_RESET_LIMIT, repliesPerPrefix: 0 }, random);
  expect(count(shared, 0, host(0x0a000001), 10_000)).toBe(100);
  expect(count(shared, 1, host(0x0b000001), 10)).toBe(0);
});

test('5000 spoofed resets a second from everywhere: of 100 newcomers at least 95 are answered at the first try', () => {
  const limit = new ResetLimit(DEFAULT_RESET_LIMIT, random);
  let state = 12345;
  const next = (): number => (state = (Math.imul(state, 1103515245) + 12345) >>> 0);
  let answered = 0;
  for (let newcomer = 0; newcomer < 100; newcomer++) {
    for (let i = 0; i < 500; i++) limit.take(newcomer * 100, host(next()));
    if (limit.take(newcomer * 100 + 99, host(0xc6336400 + newcomer))) answered++;
  }
  expect(answered).toBeGreaterThanOrEqual(95);
});

test('a prefix is /24 of IPv4 and /48 of IPv6', () => {
  const own = (a: Uint32Array, b: Uint32Array): boolean => {
    const limit = new ResetLimit({ replies: 0, periodSeconds: 10, repliesPerPrefix: 1 }, random);
    limit.take(0, a);
    return limit.take(0, b);
  };
  expect(own(host(0xc0000201), host(0xc00002fe))).toBe(false);
  expect(own(host(0xc0000201), host(0xc0000301))).toBe(true);
  expect(own(ipv6(0x20010db8, 0x00010000), ipv6(0x20010db8, 0x0001ffff, 7))).toBe(false);
  expect(own(ipv6(0x20010db8, 0x00010000), ipv6(0x20010db8, 0x00020000))).toBe(true);
  expect(own(host(0x20010d00), ipv6(0x20010d00, 0))).toBe(true);
});

test('a reply that came to an honest client is given back', () => {
  const limit = new ResetLimit({ replies: 1, periodSeconds: 10, repliesPerPrefix: 0 }, random);
  expect(limit.take(0, host(1))).toBe(true);
  expect(limit.take(0, host(1))).toBe(false);
  limit.giveBack();
  expect(limit.take(0, host(1))).toBe(true);
  limit.giveBack();
  limit.giveBack();
  limit.giveBack();
  expect(count(limit, 0, host(1), 5)).toBe(1);
});

test('a limit that a byte cannot count is our bug', () => {
  expect(() => new ResetLimit({ ...DEFAULT_RESET_LIMIT, repliesPerPrefix: 256 }, random)).toThrow(RangeError);
});

describe('SipHash', () => {
  const all = vectors('session_cookie');
  const vector = (id: string) => all.find(([name]) => name === id)![1];

  test('siphash64-paper', () => {
    const { inputs, expected } = vector('siphash64-paper');
    expect(toHex(sipHash24(fromHex(inputs.key), fromHex(inputs.message)))).toBe(expected.out);
  });

  test('siphash128-openvpn', () => {
    const { inputs, expected } = vector('siphash128-openvpn');
    expect(toHex(sipHash24(fromHex(inputs.key), fromHex(inputs.message), 16))).toBe(expected.out);
  });

  // What OpenVPN 2.8 computes; ours is private to us, but the arithmetic of slots and the hash are the same.
  test('calc-session-id-linux', () => {
    const { inputs, expected } = vector('calc-session-id-linux');
    const address = inputs.ip.split('.').map(Number);
    const sid = (offset: number): string => {
      const slot = Math.floor(inputs.now / Math.floor((inputs.handwindow + 1) / 2)) + offset;
      const message = Uint8Array.from([
        ...[24, 16, 8, 0].map((shift) => (slot >> shift) & 0xff),
        ...[2, 0, inputs.port >> 8, inputs.port & 0xff, ...address, ...new Uint8Array(8)],
        ...fromHex(inputs.client_sid),
      ]);
      return toHex(sipHash24(fromHex(inputs.key), message));
    };
    expect(sid(0)).toBe(expected.sid);
    expect(sid(-1)).toBe(expected.sid_offset_m1);
    expect(sid(1)).toBe(expected.sid_offset_p1);
  });
});
