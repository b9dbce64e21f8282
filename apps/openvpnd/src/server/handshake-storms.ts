import type { Instant } from '@openvpnd/sans-io';

/** So many handshakes that begin within so long are a storm: what a restart of the server brings, and more than renegotiations of a few clients do. */
const MANY = 4;
const WITHIN_MS = 1000;
/** What comes later is no storm any more, but how the server lives. */
const LONGEST_MS = 3000;
/** From the beginning of one storm to that of the next. Who can make handshakes come all the time, stranger or daily life, is worth what is put off in a storm once a minute. */
const APART_MS = 60_000;

/** Tells when handshakes begin to come in numbers, so that what can wait until most of them are over does wait. */
export class HandshakeStorms {
  /** Of the last handshakes, the oldest first. */
  readonly #begun: Instant[] = [];
  #lastStorm: Instant = Number.NEGATIVE_INFINITY;

  /** A handshake begins. Returns whether a storm begins with it, or it belongs to one. */
  handleHandshake(now: Instant): 'begins' | 'goes-on' | undefined {
    this.#begun.push(now);
    if (this.#begun.length < MANY) return undefined;
    const since = this.#begun.shift() as Instant;
    if (now - this.#lastStorm < LONGEST_MS) return 'goes-on';
    if (now - since > WITHIN_MS || now - this.#lastStorm < APART_MS) return undefined;
    this.#lastStorm = now;
    return 'begins';
  }
}
