import type { Clock } from '@openvpnd/event-loop';
import { type Instant, NEVER } from '@openvpnd/sans-io';

/** More events than this at one instant mean a loop that never lets time pass. */
export const MAX_EVENTS_PER_INSTANT = 1_000_000;

/**
 * Time that passes only when a test says so. It is a {@link Clock} for one event loop; {@link sibling} gives further
 * loops (the other peers of a simulation) clocks of the same time. Things due at the same instant happen in the order
 * in which they were asked for.
 */
export class VirtualClock implements Clock {
  readonly #events: EventHeap = new EventHeap();
  readonly #own: Clock;
  #now: Instant;
  #sequence = 0;

  /** @param start the first instant, in milliseconds */
  constructor(start: Instant = 1000) {
    this.#now = start;
    this.#own = this.sibling();
  }

  now(): Instant {
    return this.#now;
  }

  arm(at: Instant, fire: () => void): void {
    this.#own.arm(at, fire);
  }

  soon(fire: () => void): void {
    this.#own.soon(fire);
  }

  /** A clock of the same time with a timer of its own. */
  sibling(): Clock {
    let armed: ScheduledEvent | undefined;
    const pendingSoon = new Set<() => void>();
    return {
      now: () => this.#now,
      arm: (at, fire) => {
        if (armed) this.#events.remove(armed);
        armed = undefined;
        if (at === NEVER) return;
        armed = this.#push(at, () => {
          armed = undefined;
          fire();
        });
      },
      soon: (fire) => {
        if (pendingSoon.has(fire)) return;
        pendingSoon.add(fire);
        this.#push(this.#now, () => {
          pendingSoon.delete(fire);
          fire();
        });
      },
    };
  }

  /** Calls `fire` once at `at`, or in the next step when that is past. The result takes it back. For the world around the loops. */
  schedule(at: Instant, fire: () => void): () => void {
    const event = this.#push(at, fire);
    return () => this.#events.remove(event);
  }

  /** The instant of the next event; NEVER when nothing is planned. */
  nextEvent(): Instant {
    return this.#events.first?.at ?? NEVER;
  }

  /** Lets time pass up to `at`, event by event, those at `at` included. */
  advanceTo(at: Instant): void {
    let instant = this.#now;
    let events = 0;
    for (let next = this.#events.first; next !== undefined && next.at <= at; next = this.#events.first) {
      if (next.at > instant) {
        instant = next.at;
        events = 0;
      }
      events += 1;
      if (events > MAX_EVENTS_PER_INSTANT) throw new Error(`virtual time stands still at ${instant}: an endless loop`);
      this.#events.remove(next);
      this.#now = Math.max(this.#now, next.at);
      next.fire();
    }
    this.#now = Math.max(this.#now, at);
  }

  advanceBy(milliseconds: number): void {
    this.advanceTo(this.#now + milliseconds);
  }

  /**
   * Lets time pass until `condition` holds, checked after every instant with events, or until `limit` has come.
   *
   * @returns whether it holds
   */
  advanceUntil(condition: () => boolean, limit: Instant): boolean {
    while (!condition()) {
      const next = this.nextEvent();
      if (next > limit) {
        this.advanceTo(limit);
        return condition();
      }
      this.advanceTo(Math.max(next, this.#now));
    }
    return true;
  }

  #push(at: Instant, fire: () => void): ScheduledEvent {
    if (Number.isNaN(at)) throw new RangeError('an instant is a number');
    this.#sequence += 1;
    const event = { at: Math.max(at, this.#now), sequence: this.#sequence, fire, index: -1 };
    this.#events.add(event);
    return event;
  }
}

interface ScheduledEvent {
  readonly at: Instant;
  readonly sequence: number;
  readonly fire: () => void;
  /** Its place in the heap; -1 when it is in none. */
  index: number;
}

/** A binary heap whose entries know their places, so that a timer that is armed anew leaves nothing behind. */
class EventHeap {
  readonly #entries: ScheduledEvent[] = [];

  get first(): ScheduledEvent | undefined {
    return this.#entries[0];
  }

  add(event: ScheduledEvent): void {
    this.#entries.push(event);
    this.#rise(event, this.#entries.length - 1);
  }

  remove(event: ScheduledEvent): void {
    const hole = event.index;
    if (hole < 0) return;
    event.index = -1;
    const last = this.#entries.pop();
    if (last === undefined || last === event) return;
    this.#rise(last, hole);
    this.#sink(last, last.index);
  }

  #rise(event: ScheduledEvent, from: number): void {
    let at = from;
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = this.#entries[above];
      if (!precedes(event, parent)) break;
      this.#put(parent, at);
      at = above;
    }
    this.#put(event, at);
  }

  #sink(event: ScheduledEvent, from: number): void {
    const entries = this.#entries;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && precedes(entries[child + 1], entries[child])) child += 1;
      if (!precedes(entries[child], event)) break;
      this.#put(entries[child], at);
      at = child;
    }
    this.#put(event, at);
  }

  #put(event: ScheduledEvent, at: number): void {
    this.#entries[at] = event;
    event.index = at;
  }
}

function precedes(a: ScheduledEvent, b: ScheduledEvent): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
