import type { Instant } from '@openvpnd/sans-io';
import { sessionIdHex } from '@openvpnd/wire';

/** Resets in a client's name that are answered at once: who has lost its state more often than that in so short a time has other troubles. */
const ANSWERS_AT_ONCE = 3;
/** Until no such reset has come for so long, no more than these. */
const QUIET_MS = 10_000;
/** A reset that comes again after that time is from somebody who waits for the answer; each time the wait is doubled. */
const REPEAT_MS = 200;
/** Session ids that are remembered, of all clients together: at 10 000 forged resets a second the repetition of an honest one is still known. */
const MAX_REMEMBERED = 65_536;

/**
 * Which resets from the addresses of clients are answered. An answer that nobody has asked for is not harmless: the stock client gives up the
 * handshake that it is in when it gets one. So while many resets come in a client's name, only those that are repeated are answered, as the client's
 * own is.
 */
export class ReturnLimit {
  /** By slot: answers that are left, and when the last reset came. */
  readonly #clients: Map<number, { left: number; at: Instant }> = new Map();
  /** By slot and session id, oldest first: when the last one counted, and how long the next has to wait. */
  readonly #seen: Map<string, { at: Instant; waitMs: number }> = new Map();

  /** Whether a reset of this session id in the name of the client in this slot is answered now. */
  admits(now: Instant, slot: number, sessionId: Uint8Array): boolean {
    const client = this.#clients.get(slot) ?? { left: ANSWERS_AT_ONCE, at: now };
    this.#clients.set(slot, client);
    if (now - client.at >= QUIET_MS) client.left = ANSWERS_AT_ONCE;
    client.at = now;
    const key = `${slot} ${sessionIdHex(sessionId)}`;
    const seen = this.#seen.get(key);
    if (seen !== undefined) {
      if (now - seen.at < seen.waitMs) return false;
      seen.at = now;
      seen.waitMs *= 2;
      return true;
    }
    this.#remember(key, now);
    if (client.left === 0) return false;
    client.left -= 1;
    return true;
  }

  #remember(key: string, now: Instant): void {
    if (this.#seen.size >= MAX_REMEMBERED) {
      const [oldest] = this.#seen.keys();
      if (oldest !== undefined) this.#seen.delete(oldest);
    }
    this.#seen.set(key, { at: now, waitMs: REPEAT_MS });
  }
}
