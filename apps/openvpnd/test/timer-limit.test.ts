import { parseConfigText } from '@openvpnd/config';
import { afterEach, expect, test, vi } from 'vitest';
import { keepStatus } from '../src/keep-status.js';
import { timerMs } from '../src/timer-limit.js';

afterEach(() => {
  vi.restoreAllMocks();
});

test('any number of seconds is a time that a timer knows', () => {
  expect(timerMs(0)).toBe(0);
  expect(timerMs(120)).toBe(120_000);
  expect(timerMs(2_147_483)).toBe(2_147_483_000);
  for (const seconds of [2_147_484, 2_147_483_647, Number.POSITIVE_INFINITY])
    expect(timerMs(seconds)).toBe(2 ** 31 - 1);
});

test('a status that is to be written every few weeks is not written a thousand times a second', async () => {
  const parsed = parseConfigText(
    'client\ndev tun\nremote a\nca ca\nauth-user-pass login\nstatus status.log 3000000\n',
    'client.conf',
  );
  if (!parsed.ok || parsed.standAlone !== undefined) throw new Error(JSON.stringify(parsed));
  const written: string[] = [];
  const stop = keepStatus(
    {
      options: parsed.options,
      clock: { now: () => 0 },
      files: { status: { write: (text: string) => written.push(text) } },
      inbox: { onStatistics: () => {} },
      log: { say: () => {} },
      unixTime: () => 0,
    } as never,
    () => ['line'],
  );
  await new Promise((resolve) => setTimeout(resolve, 20));
  stop();
  expect(written).toEqual(['line\n']);
});
