import { NEVER } from '@openvpnd/sans-io';
import { VirtualClock } from '@openvpnd/testkit';
import { describe, expect, it } from 'vitest';

describe('VirtualClock', () => {
  it('lets time pass only when told', () => {
    const clock = new VirtualClock(0);
    expect(clock.now()).toBe(0);
    clock.advanceBy(1500.5);
    expect(clock.now()).toBe(1500.5);
  });

  it('fires in the order of time, then of asking', () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    const note = (name: string) => () => void fired.push(`${name}@${clock.now()}`);
    clock.schedule(20, note('c'));
    clock.schedule(10, note('a'));
    clock.schedule(10, note('b'));
    clock.schedule(21, note('late'));
    clock.advanceTo(20);
    expect(fired).toEqual(['a@10', 'b@10', 'c@20']);
    expect(clock.nextEvent()).toBe(21);
  });

  it('keeps one timer: the last one armed', () => {
    const clock = new VirtualClock(0);
    const fired: string[] = [];
    clock.arm(10, () => fired.push('first'));
    clock.arm(20, () => fired.push('second'));
    clock.advanceTo(15);
    expect(fired).toEqual([]);
    clock.advanceTo(25);
    expect(fired).toEqual(['second']);
    clock.arm(30, () => fired.push('third'));
    clock.arm(NEVER, () => fired.push('never'));
    clock.advanceTo(1e9);
    expect(fired).toEqual(['second']);
    expect(clock.nextEvent()).toBe(NEVER);
  });

  it('fires an instant that is past at once, not backwards', () => {
    const clock = new VirtualClock(100);
    let at = 0;
    clock.arm(5, () => {
      at = clock.now();
    });
    clock.advanceBy(0);
    expect(at).toBe(100);
  });

  it('makes several soon of one', () => {
    const clock = new VirtualClock(0);
    let fired = 0;
    const fire = () => {
      fired += 1;
    };
    clock.soon(fire);
    clock.soon(fire);
    expect(fired).toBe(0);
    clock.advanceBy(0);
    expect(fired).toBe(1);
    clock.soon(fire);
    clock.advanceBy(0);
    expect(fired).toBe(2);
  });

  it('gives each loop its own timer', () => {
    const clock = new VirtualClock(0);
    const other = clock.sibling();
    const fired: string[] = [];
    clock.arm(10, () => fired.push('own'));
    other.arm(5, () => fired.push('other'));
    expect(other.now()).toBe(0);
    clock.advanceTo(10);
    expect(fired).toEqual(['other', 'own']);
  });

  it('takes back what was scheduled', () => {
    const clock = new VirtualClock(0);
    let fired = 0;
    const cancel = clock.schedule(10, () => {
      fired += 1;
    });
    cancel();
    cancel();
    clock.advanceTo(20);
    expect(fired).toBe(0);
  });

  it('advances until a condition holds, or to the limit', () => {
    const clock = new VirtualClock(0);
    let done = false;
    clock.schedule(30, () => {
      done = true;
    });
    expect(clock.advanceUntil(() => done, 20)).toBe(false);
    expect(clock.now()).toBe(20);
    expect(clock.advanceUntil(() => done, 100)).toBe(true);
    expect(clock.now()).toBe(30);
  });

  it('keeps order over many timers', () => {
    const clock = new VirtualClock(0);
    const fired: number[] = [];
    const cancels: (() => void)[] = [];
    for (let i = 0; i < 1000; i += 1) cancels.push(clock.schedule((i * 7919) % 1009, () => fired.push(clock.now())));
    for (let i = 0; i < 1000; i += 3) cancels[i]();
    clock.advanceTo(2000);
    expect(fired).toHaveLength(666);
    expect(fired).toEqual([...fired].sort((a, b) => a - b));
  });
});
