import { NEVER } from '@openvpnd/sans-io';
import { beforeEach, describe, expect, it } from 'vitest';
import { DEVICE_VECTORS_PER_TURN, EventLoop, type EventLoopOptions, LINK_VECTORS_PER_TURN } from '../src/index.js';
import { from, TestClock, TestDevice, TestLink, TestTunnel } from './doubles.js';

const ROWS = 4;
const SHAPE = { capacity: ROWS, headroom: 8, packetBytes: 64, tailroom: 0 };

let clock: TestClock;
let tunnel: TestTunnel;
let device: TestDevice;
let link: TestLink;
let executed: string[];
let loop: EventLoop<string>;
let lost: string[];

beforeEach(() => {
  clock = new TestClock();
  tunnel = new TestTunnel();
  device = new TestDevice();
  link = new TestLink(1);
  executed = [];
  lost = [];
  loop = makeLoop();
  loop.addLink(link);
  clock.runSoon();
  tunnel.calls.length = 0;
});

function makeLoop(more: Partial<EventLoopOptions<string>> = {}): EventLoop<string> {
  return new EventLoop<string>({
    clock,
    tunnel,
    device,
    vector: SHAPE,
    execute: (action) => executed.push(action),
    linkLost: ({ id }, error) => lost.push(`link ${id}: ${error.message}`),
    deviceLost: ({ name }, error) => lost.push(`${name}: ${error.message}`),
    ...more,
  });
}

describe('from a link', () => {
  it('packets go to the tunnel, to the device and back through links, in order', () => {
    tunnel.onLink = (first) => (first === 12 ? 'drop' : first % 2 === 0 ? 'device' : { link: 1 });
    link.inbox.push(10, 11, 12, 13);
    link.poll();
    expect(tunnel.calls).toEqual(['link 4 @1000']);
    expect(device.written).toEqual([10]);
    expect(link.sent).toEqual([11, 13]);
    expect(link.sends).toBe(1);
  });

  it('a turn has a quota of vectors, and one instant', () => {
    link.inbox.push(...from(0, ROWS * (LINK_VECTORS_PER_TURN + 1)));
    link.poll();
    expect(tunnel.calls).toEqual(Array(LINK_VECTORS_PER_TURN).fill(`link ${ROWS} @1000`));
    expect(link.inbox).toHaveLength(ROWS);
    link.poll();
    expect(link.inbox).toHaveLength(0);
    expect(device.written).toEqual(from(0, ROWS * (LINK_VECTORS_PER_TURN + 1)));
  });

  it('a vector that was not full is the last: nothing asks the system again', () => {
    link.inbox.push(1);
    link.poll();
    expect(link.receives).toBe(1);
  });

  it('the device is left alone when nothing is for it', () => {
    tunnel.onLink = () => 'drop';
    link.inbox.push(1, 2);
    link.poll();
    expect(device.writes).toBe(0);
  });

  it('rows for a link that is not there, or for a device that is not, are lost and counted', () => {
    loop.setDevice(undefined);
    tunnel.onLink = (first) => (first === 1 ? 'device' : { link: 77 });
    link.inbox.push(1, 2, 3);
    link.poll();
    expect(loop.counters).toMatchObject({ noDevice: 1, unknownLink: 2 });
    tunnel.onLink = () => ({ link: 1 });
    link.inbox.push(4);
    link.poll();
    expect(link.sent).toEqual([4]);
    expect(loop.counters).toMatchObject({ noDevice: 1, unknownLink: 2 });
  });

  it('all ids of a link are its own, and nobody else has one of them', () => {
    const wide = new TestLink(10, 4);
    loop.addLink(wide);
    tunnel.onLink = (first) => ({ link: first });
    link.inbox.push(10, 13, 9, 14);
    link.poll();
    expect(wide.sent).toEqual([10, 13]);
    expect(loop.counters.unknownLink).toBe(2);
    for (const other of [new TestLink(13), new TestLink(8, 3)]) expect(() => loop.addLink(other)).toThrow(RangeError);
    loop.addLink(new TestLink(14));
    loop.removeLink(10);
    link.inbox.push(12);
    link.poll();
    expect(wide.sent).toEqual([10, 13]);
    expect(loop.counters.unknownLink).toBe(3);
  });

  it('actions are executed in order, after the rows have left', () => {
    tunnel.actions = ['a', 'b'];
    const seen: unknown[] = [];
    loop.stop();
    loop = makeLoop({ execute: (action) => seen.push([action, device.written.length]) });
    loop.addLink(link);
    link.inbox.push(1, 2);
    link.poll();
    expect(seen).toEqual([
      ['a', 2],
      ['b', 2],
    ]);
  });
});

describe('from the device', () => {
  it('runs of datagrams leave as they are through a link that takes them, and one by one, in order, through others', () => {
    const plain = new TestLink(2);
    link.sendsRuns = true;
    loop.stop();
    loop = makeLoop({ deviceVector: { capacity: 16 } });
    loop.addLink(link);
    loop.addLink(plain);
    tunnel.onDevice = (first) => ({ link: first < 50 ? 1 : 2, run: first % 10 === 0 ? 3 : 1 });
    device.inbox.push(11, 61, 20, 70, 25, 75, 80);
    device.poll();
    expect([link.sent, link.segments]).toEqual([
      [11, 20, 25],
      [1, 3, 1],
    ]);
    expect([plain.sent, plain.segments]).toEqual([
      [61, 70, 71, 72, 75, 80, 81, 82],
      [1, 1, 1, 1, 1, 1, 1, 1],
    ]);
    expect(loop.counters.noRowForDatagram).toBe(0);
    expect([link.sends, plain.sends]).toEqual([1, 1]);
  });

  it('datagrams of runs for which there are no rows are lost and counted', () => {
    tunnel.onDevice = (first) => ({ link: 1, run: first });
    device.inbox.push(1, 3, 2);
    device.poll();
    expect(link.sent).toEqual([1, 2, 3]);
    expect(loop.counters.noRowForDatagram).toBe(3);
  });

  it('packets go to the tunnel and out through their links', () => {
    const second = new TestLink(2);
    loop.addLink(second);
    tunnel.onDevice = (first) => ({ link: 1 + (first % 2) });
    device.inbox.push(10, 11, 12);
    device.poll();
    expect(link.sent).toEqual([10, 12]);
    expect(second.sent).toEqual([11]);
    expect([link.sends, second.sends]).toEqual([1, 1]);
  });

  it('a turn has a quota of vectors', () => {
    device.inbox.push(...from(0, ROWS * (DEVICE_VECTORS_PER_TURN + 2)));
    device.poll();
    expect(device.inbox).toHaveLength(2 * ROWS);
    // Of some hundred rows each: beyond a few the others would wait.
    expect(DEVICE_VECTORS_PER_TURN).toBeLessThanOrEqual(4);
    expect(LINK_VECTORS_PER_TURN).toBeLessThanOrEqual(4);
  });
});

describe('a full link', () => {
  it('makes the device wait, keeps what it refused, and loses nothing', () => {
    link.room = 2;
    device.inbox.push(...from(0, 10));
    device.poll();
    expect(link.sent).toEqual([0, 1]);
    expect(device.paused).toBe(true);
    expect(device.inbox).toHaveLength(6);
    device.readiness?.readable();
    expect(device.inbox).toHaveLength(6);
    link.makeRoom(1);
    expect(link.sent).toEqual([0, 1, 2]);
    expect(device.paused).toBe(true);
    link.makeRoom(100);
    expect(link.sent).toEqual([0, 1, 2, 3]);
    expect(device.paused).toBe(false);
    while (device.inbox.length > 0) device.poll();
    expect(link.sent).toEqual(from(0, 10));
    expect(loop.counters).toMatchObject({ stalls: 1, unknownLink: 0 });
  });

  it('is not offered anything until it is writable', () => {
    link.room = 0;
    device.inbox.push(1);
    device.poll();
    expect(link.sends).toBe(1);
    tunnel.onLink = () => ({ link: 1 });
    link.inbox.push(2);
    link.poll();
    expect(link.sends).toBe(1);
    link.makeRoom(10);
    expect(link.sent.sort()).toEqual([1, 2]);
  });

  it('makes links wait when the packets came from one (client to client), and others are not held up on the way out', () => {
    const second = new TestLink(2);
    loop.addLink(second);
    link.room = 0;
    tunnel.onLink = (first) => (first < 10 ? { link: 1 } : 'device');
    second.inbox.push(1, 2, 11);
    second.poll();
    expect(device.written).toEqual([11]);
    expect([link.paused, second.paused]).toEqual([true, true]);
    const third = new TestLink(3);
    loop.addLink(third);
    expect(third.paused).toBe(true);
    // The other direction goes on: it has a vector of its own.
    tunnel.onDevice = () => ({ link: 2 });
    device.inbox.push(30);
    device.poll();
    expect(second.sent).toEqual([30]);
    link.makeRoom(10);
    expect(link.sent).toEqual([1, 2]);
    expect([link.paused, second.paused, third.paused]).toEqual([false, false, false]);
  });

  it('that goes away takes its rows along and lets the others go on', () => {
    link.room = 0;
    device.inbox.push(1, 2);
    device.poll();
    expect(device.paused).toBe(true);
    loop.removeLink(1);
    expect(device.paused).toBe(false);
    expect(loop.counters.unknownLink).toBe(2);
    expect(link.sent).toEqual([]);
  });

  it('does not hold up timeouts: what the last one wanted to send is lost and counted', () => {
    link.room = 1;
    tunnel.timeout = 2000;
    tunnel.toSend = [1, 2, 3];
    clock.runSoon();
    loop.wake();
    clock.runSoon();
    expect(link.sent).toEqual([1]);
    tunnel.toSend = [4];
    clock.advanceTo(2000);
    expect(loop.counters.lateTimeoutRows).toBe(2);
    link.makeRoom(10);
    expect(link.sent).toEqual([1, 4]);
  });

  it('serves a device that is changed meanwhile', () => {
    link.room = 0;
    device.inbox.push(1);
    device.poll();
    const other = new TestDevice();
    loop.setDevice(other);
    expect([device.paused, other.paused]).toEqual([true, true]);
    link.makeRoom(10);
    expect([device.paused, other.paused]).toEqual([true, false]);
    expect(link.sent).toEqual([1]);
    loop.setDevice(device);
    expect([device.paused, other.paused]).toEqual([false, true]);
    device.inbox.push(2);
    device.poll();
    expect(link.sent).toEqual([1, 2]);
  });
});

describe('time', () => {
  it("the timer stands at the tunnel's next timeout and is armed only when that moves", () => {
    tunnel.timeout = 5000;
    link.inbox.push(1);
    link.poll();
    expect(clock.armedAt).toBe(5000);
    const { arms } = clock;
    link.inbox.push(2);
    link.poll();
    expect(clock.arms).toBe(arms);
    tunnel.timeout = 4000;
    link.inbox.push(3);
    link.poll();
    expect(clock.armedAt).toBe(4000);
    tunnel.calls.length = 0;
    tunnel.timeout = NEVER;
    clock.advanceTo(4000);
    expect(tunnel.calls).toEqual(['timeout @4000']);
    expect(clock.armedAt).toBe(NEVER);
    clock.advanceTo(9000);
    expect(tunnel.calls).toHaveLength(1);
  });

  it('is armed again for a timeout at the same instant', () => {
    tunnel.timeout = 1500;
    loop.wake();
    clock.runSoon();
    clock.advanceTo(1500);
    expect(clock.armedAt).toBe(1500);
  });

  it('begins with a turn; several wakes are one', () => {
    makeLoop();
    expect(clock.soonCount).toBe(1);
    clock.runSoon();
    expect(tunnel.calls).toEqual(['timeout @1000']);
    for (let wakes = 0; wakes < 5; wakes += 1) loop.wake();
    expect(clock.soonCount).toBe(1);
    tunnel.calls.length = 0;
    clock.runSoon();
    expect(tunnel.calls).toEqual(['timeout @1000']);
  });

  it('rows of a timeout leave, and its actions are executed', () => {
    tunnel.toSend = [5];
    tunnel.actions = ['x'];
    loop.wake();
    clock.runSoon();
    expect(link.sent).toEqual([5]);
    expect(executed).toEqual(['x']);
  });
});

describe('comings and goings', () => {
  it('a link is added once, and may come back after it was removed', () => {
    expect(() => loop.addLink(new TestLink(1))).toThrow(RangeError);
    loop.removeLink(1);
    loop.removeLink(1);
    const again = new TestLink(1);
    loop.addLink(again);
    device.inbox.push(1);
    device.poll();
    expect(again.sent).toEqual([1]);
    expect(link.sent).toEqual([]);
    link.inbox.push(9);
    link.poll();
    expect(link.inbox).toHaveLength(1);
  });

  it('a link that fails is removed and told of once; so is the device', () => {
    const { readiness } = link;
    readiness?.failed(new Error('gone'));
    readiness?.failed(new Error('gone'));
    device.readiness?.failed(new Error('deleted'));
    expect(lost).toEqual(['link 1: gone', 'tun9: deleted']);
    readiness?.readable();
    expect(tunnel.calls).toEqual([]);
  });

  it('an action may take away the link that it came through', () => {
    tunnel.actions = ['remove'];
    loop.stop();
    loop = makeLoop({ execute: () => loop.removeLink(1) });
    loop.addLink(link);
    link.inbox.push(...from(0, 2 * ROWS));
    link.poll();
    expect(link.inbox).toHaveLength(ROWS);
  });

  it('an action may wake the loop, and what is readable in a turn is read in another', () => {
    tunnel.actions = ['again'];
    loop.stop();
    loop = makeLoop({
      execute() {
        loop.wake();
        link.readiness?.readable();
        device.readiness?.readable();
      },
    });
    loop.addLink(link);
    link.inbox.push(1);
    device.inbox.push(2);
    link.poll();
    expect(device.inbox).toEqual([2]);
    clock.runSoon();
    expect(tunnel.calls.map((call) => call.split(' ')[0])).toEqual(['link', 'timeout']);
  });

  it('stop ends everything at once: links and device are paused, open, and silent', () => {
    tunnel.timeout = 3000;
    tunnel.actions = ['stop', 'never'];
    loop.stop();
    loop = makeLoop({
      execute(action) {
        executed.push(action);
        loop.stop();
        loop.stop();
      },
    });
    loop.addLink(link);
    link.inbox.push(...from(0, 2 * ROWS));
    link.poll();
    expect(executed).toEqual(['stop']);
    expect(link.inbox).toHaveLength(ROWS);
    expect([link.paused, device.paused]).toEqual([true, true]);
    expect(clock.armedAt).toBe(NEVER);
    tunnel.calls.length = 0;
    loop.wake();
    clock.runSoon();
    link.readiness?.readable();
    link.readiness?.writable();
    loop.addLink(new TestLink(5));
    loop.setDevice(new TestDevice());
    clock.advanceTo(9000);
    expect(tunnel.calls).toEqual([]);
  });

  it('an exception out of the tunnel is a bug and comes out, but does not stop the loop', () => {
    tunnel.onLink = () => {
      throw new TypeError('bug');
    };
    link.inbox.push(1);
    expect(() => link.poll()).toThrow('bug');
    tunnel.onLink = () => 'device';
    link.inbox.push(2);
    link.poll();
    expect(device.written).toEqual([2]);
  });
});
