import { PATIENCE_MS, RunningProcess, runToEnd } from '@openvpnd/testkit/node';
import { describe, expect, test } from 'vitest';

describe('RunningProcess', () => {
  test('waits for a line on either stream, and gives the match', async () => {
    const running = new RunningProcess('sh', ['-c', 'echo one; echo "two 2" >&2; exec cat >/dev/null']);
    expect((await running.waitForLine(/^two (\d)$/, 5000))[1]).toBe('2');
    await running.stop();
    expect(running.lines).toEqual(expect.arrayContaining(['one', 'two 2']));
    expect(running.stdout).toBe('one\n');
  });

  test('gives up at the end of the process, with its last lines in the message', async () => {
    const running = new RunningProcess('sh', ['-c', 'echo almost; exit 3']);
    await expect(running.waitForLine(/never/, 5000)).rejects.toThrow(/status 3[\s\S]*\| almost/);
  });

  test('gives up after the time allowed', async () => {
    const running = new RunningProcess('sleep', ['60']);
    await expect(running.waitForLine(/never/, 20)).rejects.toThrow(/within 20 ms/);
    await expect(running.waitForEnd(20)).rejects.toThrow(/still running/);
    expect(await running.stop()).toEqual({ status: null, signal: 'SIGTERM' });
  });

  test('a process that ignores SIGTERM is killed', async () => {
    const running = new RunningProcess('sh', ['-c', 'trap "" TERM; echo ready; while :; do sleep 0.05; done']);
    await running.waitForLine(/ready/, 5000);
    expect(await running.stop(50)).toEqual({ status: null, signal: 'SIGKILL' });
  });

  test('a program that does not exist ends with status 127', async () => {
    const done = await runToEnd('/nonexistent/program', [], 5000);
    expect(done.status).toBe(127);
    expect(done.output).toMatch(/cannot run/);
  });

  test('an earlier line is not taken for a later one', async () => {
    const running = new RunningProcess('sh', ['-c', 'trap "echo tick" USR1; echo tick; while :; do sleep 0.05; done']);
    await running.waitForLine(/tick/);
    const later = running.waitForLine(/tick/, PATIENCE_MS, running.lines.length);
    running.signal('SIGUSR1');
    await later;
    expect(running.countLines(/tick/)).toBe(2);
    await running.stop();
  });

  describe('waits for a count', () => {
    /** Two ticks, the second a little later, and another one at each SIGUSR1. */
    const TICKS = [
      '-c',
      'trap "echo tick" USR1; echo tick; sleep 0.1; echo tack; echo tick; while :; do sleep 0.05; done',
    ];

    test('and takes it once it is there', async () => {
      const running = new RunningProcess('sh', TICKS);
      await running.waitForAtLeast(/tick/, 2);
      await running.waitForExactly(/tick/, 2);
      running.signal('SIGUSR1');
      await running.waitForExactly(/tick/, 3);
      await running.waitForAtLeast(/tick/, 2);
      await running.waitForExactly(/never/, 0);
      await running.stop();
    });

    test('and not more of them', async () => {
      const running = new RunningProcess('sh', TICKS, { title: 'clock' });
      await running.waitForAtLeast(/tick/, 2);
      await expect(running.waitForExactly(/tick/, 1)).rejects.toThrow(
        /clock: 2 lines match \/tick\/, and not 1[\s\S]*\| tack/,
      );
      await expect(running.waitForExactly(/tick/, 0)).rejects.toThrow(/2 lines match/);
      await running.stop();
    });

    test('and gives up after the time allowed', async () => {
      const running = new RunningProcess('sh', TICKS, { title: 'clock' });
      await running.waitForLine(/tick/);
      await expect(running.waitForAtLeast(/tick/, 3, 500)).rejects.toThrow(
        /clock: within 500 ms [12] of 3 lines that match \/tick\/[\s\S]*\| tick/,
      );
      await expect(running.waitForExactly(/never/, 1, 20)).rejects.toThrow(/within 20 ms 0 of 1 lines/);
      await running.stop();
    });

    test('and gives up at the end of the process', async () => {
      const running = new RunningProcess('sh', ['-c', 'echo tick; exit 3']);
      await expect(running.waitForAtLeast(/tick/, 2)).rejects.toThrow(/ended \(status 3\) with 1 of 2 lines/);
      await running.waitForExactly(/tick/, 1);
    });
  });
});
