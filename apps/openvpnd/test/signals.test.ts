import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { describeSignal, SignalInbox, type SignalInfo } from '../src/host/signals.js';

const USR1: SignalInfo = { signal: 'SIGUSR1', source: 'soft', text: 'tls-error' };
const HUP: SignalInfo = { signal: 'SIGHUP', source: 'hard', text: '' };
const TERM: SignalInfo = { signal: 'SIGTERM', source: 'hard', text: '' };
const INT: SignalInfo = { signal: 'SIGINT', source: 'hard', text: '' };

test('the lines of OpenVPN', () => {
  expect(describeSignal(USR1, 'process')).toBe('SIGUSR1[soft,tls-error] received, process restarting');
  expect(describeSignal(HUP, 'process')).toBe('SIGHUP[hard,] received, process restarting');
  expect(describeSignal(TERM, 'process')).toBe('SIGTERM[hard,] received, process exiting');
  expect(describeSignal(INT, 'process')).toBe('SIGINT[hard,] received, process exiting');
  expect(describeSignal({ ...TERM, source: 'soft', text: 'remote-exit' }, 'client-instance')).toBe(
    'SIGTERM[soft,remote-exit] received, client-instance exiting',
  );
});

describe('the inbox', () => {
  let inbox: SignalInbox;
  beforeEach(() => {
    inbox = new SignalInbox();
  });
  afterEach(() => {
    inbox.close();
    vi.useRealTimers();
  });

  test('holds one signal; a stronger one takes its place, a weaker one does not', () => {
    inbox.raise(USR1);
    inbox.raise(HUP);
    expect(inbox.pending).toEqual(HUP);
    inbox.raise(USR1);
    expect(inbox.pending).toEqual(HUP);
    inbox.raise(INT);
    inbox.raise(TERM);
    inbox.raise(INT);
    expect(inbox.take()).toEqual(TERM);
    expect(inbox.take()).toBeUndefined();
    inbox.raise(USR1);
    expect(inbox.take()).toEqual(USR1);
  });

  test('the first of two equals stays', () => {
    inbox.raise(USR1);
    inbox.raise({ ...USR1, text: 'ping-restart' });
    expect(inbox.take()?.text).toBe('tls-error');
  });

  test('calls its listener for each signal, and at once for one that waits', () => {
    const heard: (string | undefined)[] = [];
    const listener = (): void => void heard.push(inbox.pending?.signal);
    inbox.listen(listener);
    expect(heard).toEqual([]);
    inbox.raise(USR1);
    inbox.raise(TERM);
    expect(heard).toEqual(['SIGUSR1', 'SIGTERM']);
    inbox.listen(undefined);
    inbox.listen(listener);
    expect(heard).toHaveLength(3);
    inbox.take();
    inbox.listen(undefined);
    inbox.raise(HUP);
    expect(heard).toHaveLength(3);
  });

  test('hears the system, until it is closed', () => {
    process.emit('SIGHUP');
    expect(inbox.take()).toEqual(HUP);
    let statistics = 0;
    inbox.onStatistics(() => {
      statistics += 1;
    });
    process.emit('SIGUSR2');
    expect(statistics).toBe(1);
    expect(inbox.pending).toBeUndefined();
    inbox.onStatistics(undefined);
    process.emit('SIGUSR2');
    expect(statistics).toBe(1);
    const listeners = process.listenerCount('SIGHUP');
    inbox.close();
    expect(process.listenerCount('SIGHUP')).toBe(listeners - 1);
    expect(process.listenerCount('SIGUSR2')).toBe(0);
  });

  test('waiting ends with the time, and leaves the listener as it was', async () => {
    vi.useFakeTimers();
    let heard = 0;
    inbox.listen(() => {
      heard += 1;
    });
    let over = false;
    const waiting = inbox.wait(5000).then(() => {
      over = true;
    });
    await vi.advanceTimersByTimeAsync(4999);
    expect(over).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await waiting;
    inbox.raise(USR1);
    expect(heard).toBe(1);
  });

  test('waiting ends with a signal, also one that waits already', async () => {
    vi.useFakeTimers();
    const waiting = inbox.wait(3_600_000);
    inbox.raise(TERM);
    await waiting;
    await inbox.wait(3_600_000);
    expect(vi.getTimerCount()).toBe(0);
    expect(inbox.pending).toEqual(TERM);
  });
});
