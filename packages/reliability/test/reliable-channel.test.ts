import { MEASURED_TIMING, OPENVPN_TIMING, ReliableChannel } from '@openvpnd/reliability';
import { NEVER } from '@openvpnd/sans-io';
import { describe, expect, it } from 'vitest';

/** Sends `count` messages named by their ids and takes each out once. */
function sendAll(channel: ReliableChannel<string>, now: number, count: number): void {
  for (let n = 0; n < count; n += 1) {
    channel.send(now, `m${n}`);
  }
  for (let n = 0; n < count; n += 1) {
    expect(channel.takeOutgoing(now)).toMatchObject({ id: n, attempt: 1 });
  }
  expect(channel.takeOutgoing(now)).toBeUndefined();
}

describe('receiving', () => {
  it('gives messages in order, each once', () => {
    const channel = new ReliableChannel<string>();
    expect(channel.handleMessage(0, 1, 'b')).toBe('accepted');
    expect(channel.takeMessage()).toBeUndefined();
    expect(channel.messageReady()).toBe(false);
    expect(channel.handleMessage(0, 0, 'a')).toBe('accepted');
    expect(channel.handleMessage(0, 0, 'forged')).toBe('duplicate');
    expect(channel.messageReady()).toBe(true);
    expect([channel.takeMessage(), channel.takeMessage(), channel.takeMessage()]).toEqual(['a', 'b', undefined]);
    expect(channel.handleMessage(0, 1, 'again')).toBe('duplicate');
    expect(channel.takeMessage()).toBeUndefined();
  });

  it('takes the last id of the window and refuses the next without an ack', () => {
    const channel = new ReliableChannel<string>();
    expect(channel.handleMessage(0, 11, 'last')).toBe('accepted');
    expect(channel.handleMessage(0, 12, 'beyond')).toBe('out-of-window');
    expect(channel.handleMessage(0, 2 ** 31, 'far')).toBe('out-of-window');
    expect(channel.takeAcks(8)).toEqual([11]);
    channel.handleMessage(0, 0, 'first');
    expect(channel.handleMessage(0, 12, 'still')).toBe('out-of-window');
    channel.takeMessage();
    expect(channel.handleMessage(0, 12, 'now')).toBe('accepted');
  });

  it('starts where it is told, and acknowledges what lay before', () => {
    const channel = new ReliableChannel<string>({ nextReceiveId: 1, nextSendId: 1 });
    expect(channel.handleMessage(0, 0, 'reset')).toBe('duplicate');
    expect(channel.handleMessage(0, 1, 'hello')).toBe('accepted');
    expect(channel.takeMessage()).toBe('hello');
    expect(channel.takeAcks(8)).toEqual([0, 1]);
    expect(channel.send(0, 'x')).toBe(1);
  });

  it('goes on over the end of the numbers', () => {
    const channel = new ReliableChannel<string>({ nextReceiveId: 0xffff_ffff, nextSendId: 0xffff_ffff });
    expect(channel.handleMessage(0, 0, 'b')).toBe('accepted');
    expect(channel.handleMessage(0, 0xffff_ffff, 'a')).toBe('accepted');
    expect(channel.handleMessage(0, 0xffff_fffe, 'old')).toBe('duplicate');
    expect([channel.takeMessage(), channel.takeMessage()]).toEqual(['a', 'b']);
    expect([channel.send(0, 'a'), channel.send(0, 'b')]).toEqual([0xffff_ffff, 0]);
    channel.takeOutgoing(0);
    channel.takeOutgoing(0);
    channel.handleAcks(0, [0]);
    expect(channel.allAcked()).toBe(false);
    channel.handleAcks(0, [0xffff_ffff]);
    expect(channel.allAcked()).toBe(true);
  });
});

describe('acknowledgements', () => {
  it('are repeated, newest first, and pending only until they left', () => {
    const channel = new ReliableChannel<string>();
    expect(channel.acksPending()).toBe(false);
    expect(channel.takeAcks(8)).toEqual([]);
    for (let id = 0; id < 10; id += 1) {
      channel.handleMessage(0, id, '');
      channel.takeMessage();
    }
    expect(channel.takeAcks(4)).toEqual([0, 1, 2, 3]);
    expect(channel.acksPending()).toBe(true);
    expect(channel.takeAcks(8)).toEqual([4, 5, 6, 7, 8, 9, 0, 1]);
    expect(channel.acksPending()).toBe(false);
    expect(channel.takeAcks(4)).toEqual([4, 5, 6, 7]);
    channel.handleMessage(0, 9, '');
    expect(channel.takeAcks(4)).toEqual([9, 4, 5, 6]);
  });

  it('that nobody takes stay few', () => {
    const channel = new ReliableChannel<string>();
    for (let id = 0; id < 1000; id += 1) {
      channel.handleMessage(0, id, '');
      channel.takeMessage();
    }
    expect(channel.takeAcks(1000)).toHaveLength(8);
    expect(channel.takeAcks(1000)).toHaveLength(8);
  });
});

describe('sending', () => {
  it('stops at the window, counted from the oldest unacknowledged id', () => {
    const channel = new ReliableChannel<string>();
    sendAll(channel, 0, 6);
    expect(channel.canSend()).toBe(false);
    expect(() => channel.send(0, 'seventh')).toThrow(RangeError);
    channel.handleAcks(0, [1, 2, 3, 4, 5]);
    expect(channel.canSend()).toBe(false);
    channel.handleAcks(0, [0]);
    expect(channel.sendCapacity()).toBe(6);
    expect(channel.allAcked()).toBe(true);
    expect(channel.nextTimeout()).toBe(NEVER);
  });

  it('waits 2, 4, 8, … seconds by OpenVPN timing', () => {
    const channel = new ReliableChannel<string>();
    channel.send(1000, 'a');
    const sent: number[] = [];
    for (let n = 0; n < 6; n += 1) {
      const at = channel.nextTimeout();
      expect(channel.takeOutgoing(at - 1)).toBeUndefined();
      expect(channel.takeOutgoing(at)).toEqual({ id: 0, message: 'a', attempt: n + 1 });
      sent.push(at);
    }
    expect(sent).toEqual([1000, 3000, 7000, 15000, 31000, 63000]);
  });

  it('waits up to the cap by measured timing', () => {
    const channel = new ReliableChannel<string>({ timing: MEASURED_TIMING });
    channel.send(0, 'a');
    const sent: number[] = [];
    for (let n = 0; n < 7; n += 1) {
      const at = channel.nextTimeout();
      channel.takeOutgoing(at);
      sent.push(at);
    }
    expect(sent).toEqual([0, 500, 1500, 3500, 7500, 11500, 15500]);
  });

  it('keeps a longer first wait than the cap', () => {
    const channel = new ReliableChannel<string>({ timing: { ...MEASURED_TIMING, initialTimeoutMs: 9000 } });
    channel.send(0, 'a');
    channel.takeOutgoing(0);
    channel.takeOutgoing(9000);
    expect(channel.nextTimeout()).toBe(18000);
  });

  it.each([
    { roundTripMs: 10, timeoutMs: 200 },
    { roundTripMs: 300, timeoutMs: 900 },
    { roundTripMs: 3000, timeoutMs: 4000 },
  ])('follows a round trip of $roundTripMs ms', ({ roundTripMs, timeoutMs }) => {
    const channel = new ReliableChannel<string>({ timing: MEASURED_TIMING });
    sendAll(channel, 0, 1);
    channel.handleAcks(roundTripMs, [0]);
    channel.send(10_000, 'b');
    channel.takeOutgoing(10_000);
    expect(channel.nextTimeout()).toBe(10_000 + timeoutMs);
  });

  it('does not measure by a message that was sent twice', () => {
    const channel = new ReliableChannel<string>({ timing: MEASURED_TIMING });
    sendAll(channel, 0, 1);
    channel.takeOutgoing(500);
    channel.handleAcks(501, [0]);
    channel.send(1000, 'b');
    channel.takeOutgoing(1000);
    expect(channel.nextTimeout()).toBe(1500);
  });

  it('forgets a back-off once something gets through, by measured timing only', () => {
    for (const [timing, expected] of [
      [MEASURED_TIMING, 7600],
      [OPENVPN_TIMING, 14000],
    ] as const) {
      const channel = new ReliableChannel<string>({ timing });
      sendAll(channel, 0, 2);
      for (let at = channel.nextTimeout(); at < 7000; at = channel.nextTimeout()) {
        channel.takeOutgoing(at);
      }
      const last = timing === MEASURED_TIMING ? 7100 : 6500;
      channel.handleAcks(last, [0]);
      expect(channel.nextTimeout()).toBe(timing === MEASURED_TIMING ? 7500 : expected);
      if (timing === MEASURED_TIMING) {
        channel.takeOutgoing(7500);
        expect(channel.nextTimeout()).toBe(8500);
      }
    }
  });

  it('sends early after three later acks, repeated ones included, and doubles the wait', () => {
    const channel = new ReliableChannel<string>();
    sendAll(channel, 0, 4);
    channel.handleAcks(10, [1, 2]);
    expect(channel.takeOutgoing(10)).toBeUndefined();
    channel.handleAcks(20, [2, 1]);
    expect(channel.takeOutgoing(20)).toEqual({ id: 0, message: 'm0', attempt: 2 });
    expect(channel.takeOutgoing(20)).toBeUndefined();
    // The count begins again.
    channel.handleAcks(30, [2, 1]);
    expect(channel.takeOutgoing(30)).toBeUndefined();
    channel.handleAcks(40, [0, 3]);
    expect(channel.allAcked()).toBe(true);
  });

  it('does not count acks of earlier ids, of ids in the same list, or of ids never sent', () => {
    const channel = new ReliableChannel<string>();
    sendAll(channel, 0, 6);
    channel.handleAcks(10, [5, 4, 3, 2, 1, 0]);
    expect(channel.allAcked()).toBe(true);
    channel.send(20, 'six');
    channel.takeOutgoing(20);
    channel.handleAcks(30, [5, 4, 3, 2]);
    channel.handleAcks(30, [7, 8, 9, 0xffff_fffe, 2 ** 31]);
    expect(channel.takeOutgoing(30)).toBeUndefined();
    expect(channel.allAcked()).toBe(false);
  });

  it('does not take an ack for what was not sent yet', () => {
    const channel = new ReliableChannel<string>();
    channel.send(0, 'a');
    channel.handleAcks(0, [0]);
    expect(channel.takeOutgoing(0)).toMatchObject({ id: 0, attempt: 1 });
  });

  it('resends everything at once in a burst, with fresh timers', () => {
    const channel = new ReliableChannel<string>();
    sendAll(channel, 0, 2);
    channel.takeOutgoing(2000);
    channel.takeOutgoing(2000);
    channel.rescheduleAll(2500);
    expect(channel.takeOutgoing(2500)).toMatchObject({ id: 0, attempt: 3 });
    expect(channel.takeOutgoing(2500)).toMatchObject({ id: 1, attempt: 3 });
    expect(channel.nextTimeout()).toBe(4500);
  });

  it('lets go of everything when cleared', () => {
    const channel = new ReliableChannel<string>();
    sendAll(channel, 0, 2);
    channel.handleMessage(0, 0, 'a');
    channel.clear();
    expect(channel.takeMessage()).toBeUndefined();
    expect(channel.nextTimeout()).toBe(NEVER);
  });
});

it.each([0, -1, 1.5, Number.NaN, 2 ** 31])('refuses a window of %s', (size) => {
  expect(() => new ReliableChannel({ sendWindow: size })).toThrow(RangeError);
  expect(() => new ReliableChannel({ receiveWindow: size })).toThrow(RangeError);
});
