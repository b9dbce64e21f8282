import { beforeEach, describe, expect, it } from 'vitest';
import {
  AT_ONCE_MS,
  EventLoop,
  HOLD_OFF_BELOW_PACKETS,
  HOLD_OFF_FROM_PACKETS,
  HOLD_OFF_MICROSECONDS,
} from '../src/index.js';
import { from, TestClock, TestDevice, TestLink, TestTunnel } from './doubles.js';

describe('a flood of small packets from the device', () => {
  const MANY = HOLD_OFF_FROM_PACKETS;
  let clock: TestClock;
  let tunnel: TestTunnel;
  let device: TestDevice;
  let link: TestLink;
  let loop: EventLoop<string>;
  /** Calls of holdOff: how long, and how many packets had been read before. */
  let held: number[][];

  beforeEach(() => {
    held = [];
    clock = new TestClock();
    tunnel = new TestTunnel();
    link = new TestLink(1);
    device = new (class extends TestDevice {
      holdOff(microseconds: number): void {
        held.push([microseconds, link.sent.length]);
        clock.time += microseconds / 1000;
        this.inbox.push(...from(0, 5));
      }
    })();
    loop = new EventLoop<string>({
      clock,
      tunnel,
      device,
      vector: { capacity: 4, headroom: 8, packetBytes: 64, tailroom: 0 },
      deviceVector: { capacity: HOLD_OFF_BELOW_PACKETS + 1 },
      execute() {},
      linkLost() {},
      deviceLost() {},
    });
    loop.addLink(link);
    clock.runSoon();
    tunnel.calls.length = 0;
  });

  const turn = (packets: number): void => {
    device.inbox.push(...from(0, packets));
    device.poll();
  };

  it('is left to gather before each turn but the first, and a turn then has its instant', () => {
    for (let turns = 0; turns < 3; turns += 1) turn(MANY);
    expect(held).toEqual([
      [HOLD_OFF_MICROSECONDS, MANY],
      [HOLD_OFF_MICROSECONDS, 2 * MANY + 5],
    ]);
    expect(loop.counters.holdOffs).toBe(2);
    expect(tunnel.calls).toEqual([`device ${MANY} @1000`, `device ${MANY + 5} @1000.1`, `device ${MANY + 5} @1000.2`]);
    // Longer than that and others would notice.
    expect(HOLD_OFF_MICROSECONDS).toBeLessThanOrEqual(200);
  });

  it('is none when fewer packets were read, or so many that they gather by themselves', () => {
    turn(MANY - 1);
    turn(HOLD_OFF_BELOW_PACKETS);
    turn(1);
    turn(1);
    expect(held).toEqual([]);
    turn(HOLD_OFF_BELOW_PACKETS - 1);
    turn(1);
    expect(held).toHaveLength(1);
  });

  it('is none when the next packets are not there at once', () => {
    turn(MANY);
    clock.time += AT_ONCE_MS + 0.01;
    turn(MANY);
    expect(held).toEqual([]);
    clock.time += AT_ONCE_MS;
    turn(MANY);
    expect(held).toHaveLength(1);
  });

  it('is none while links have something too', () => {
    for (let turns = 0; turns < 3; turns += 1) {
      turn(MANY);
      link.inbox.push(1);
      link.poll();
    }
    expect(held).toEqual([]);
  });

  it('is none when super-packets are among them', () => {
    device.segments = 2;
    turn(MANY);
    device.segments = 1;
    turn(MANY);
    expect(held).toEqual([]);
    turn(MANY);
    expect(held).toHaveLength(1);
  });

  it('is none while a link is full, nor when the vector is', () => {
    link.room = 2;
    turn(MANY);
    link.makeRoom(Number.POSITIVE_INFINITY);
    turn(HOLD_OFF_BELOW_PACKETS + 1);
    turn(1);
    expect(held).toEqual([]);
  });

  it('is carried as it comes by a device that does not hold off', () => {
    device = new TestDevice();
    loop.setDevice(device);
    for (let turns = 0; turns < 3; turns += 1) turn(MANY);
    expect(link.sent).toHaveLength(3 * MANY);
    expect(loop.counters.holdOffs).toBe(0);
  });
});
