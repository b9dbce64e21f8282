import { RunningProcess, runToEnd } from '@openvpnd/testkit/node';
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
    const running = new RunningProcess('sh', ['-c', 'echo tick; sleep 0.2; echo tick; exec cat >/dev/null']);
    await running.waitForLine(/tick/, 5000);
    await running.waitForLine(/tick/, 5000, running.lines.length);
    expect(running.countLines(/tick/)).toBe(2);
    await running.stop();
  });
});
