import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { FirstRush } from '../src/server/first-rush.js';

let told: string[] = [];
let rush: FirstRush;
beforeEach(() => {
  vi.useFakeTimers();
  told = [];
  rush = new FirstRush({ begins: () => told.push('begins'), ends: () => told.push('ends') });
});
afterEach(() => {
  vi.useRealTimers();
});

function come(times: number): void {
  for (let time = 0; time < times; time += 1) rush.handshakeBegins();
}

test('three handshakes are no rush, the fourth is', () => {
  come(3);
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual([]);
  come(1);
  expect(told).toEqual(['begins']);
});

test('a rush ends when nobody has come for a second, and not before', () => {
  come(4);
  vi.advanceTimersByTime(900);
  come(1);
  vi.advanceTimersByTime(1000);
  expect(told).toEqual(['begins']);
  vi.advanceTimersByTime(200);
  expect(told).toEqual(['begins', 'ends']);
  expect(vi.getTimerCount()).toBe(0);
});

test('who goes on coming does not keep it up for more than five seconds', () => {
  come(4);
  for (let time = 0; time < 49; time += 1) {
    vi.advanceTimersByTime(100);
    come(1);
  }
  expect(told).toEqual(['begins']);
  vi.advanceTimersByTime(100);
  expect(told).toEqual(['begins', 'ends']);
});

test('there is one rush', () => {
  come(4);
  vi.advanceTimersByTime(5000);
  come(100);
  vi.advanceTimersByTime(60_000);
  expect(told).toEqual(['begins', 'ends']);
});

test('a closed one leaves no timer and says nothing', () => {
  come(4);
  rush.close();
  expect(vi.getTimerCount()).toBe(0);
  vi.advanceTimersByTime(5000);
  expect(told).toEqual(['begins']);
});
