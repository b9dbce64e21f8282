import { NEVER } from '@openvpnd/sans-io';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nodeClock } from '../src/node/index.js';

let fired: number;
const count = (): void => {
  fired += 1;
};

beforeEach(() => {
  fired = 0;
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('nodeClock', () => {
  it('fires once, at the deadline and not before', () => {
    const clock = nodeClock();
    clock.arm(clock.now() + 99.5, count);
    vi.advanceTimersByTime(99);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    vi.advanceTimersByTime(1000);
    expect(fired).toBe(1);
  });

  it('a later deadline keeps the timer that runs; an earlier one replaces it', () => {
    const clock = nodeClock();
    const start = clock.now();
    const instants: number[] = [];
    const fire = (): void => void instants.push(clock.now() - start);
    clock.arm(start + 100, fire);
    const timers = vi.getTimerCount();
    for (let later = 200; later <= 1000; later += 100) clock.arm(start + later, fire);
    expect(vi.getTimerCount()).toBe(timers);
    vi.advanceTimersByTime(999);
    expect(instants).toEqual([]);
    clock.arm(start + 5000, fire);
    clock.arm(start + 1500, fire);
    vi.advanceTimersByTime(4000);
    expect(instants).toEqual([1500]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('a deadline in the past fires soon; NEVER disarms', () => {
    const clock = nodeClock();
    clock.arm(clock.now() - 50, count);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    clock.arm(clock.now() + 10, count);
    clock.arm(NEVER, count);
    vi.advanceTimersByTime(100);
    expect(fired).toBe(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('keeps a deadline that is further away than setTimeout can count', () => {
    const clock = nodeClock();
    const days = 60 * 24 * 3600 * 1000;
    clock.arm(clock.now() + days, count);
    vi.advanceTimersByTime(days - 1);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
  });

  it('may be armed anew from within', () => {
    const clock = nodeClock();
    const again = (): void => {
      fired += 1;
      if (fired < 3) clock.arm(clock.now() + 10, again);
    };
    clock.arm(clock.now() + 10, again);
    vi.advanceTimersByTime(100);
    expect(fired).toBe(3);
  });

  it('soon is a turn of its own, and several are one', () => {
    const clock = nodeClock();
    clock.soon(count);
    clock.soon(count);
    expect(fired).toBe(0);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(1);
    clock.soon(count);
    vi.advanceTimersByTime(1);
    expect(fired).toBe(2);
  });
});
