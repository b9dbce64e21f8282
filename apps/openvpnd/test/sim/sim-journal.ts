import { createHash } from 'node:crypto';
import type { Log, LogFields } from '@openvpnd/sans-io';
import type { VirtualClock } from '@openvpnd/testkit';

/** One event of a simulation. */
export interface JournalEntry {
  readonly at: number;
  readonly who: string;
  readonly event: string;
  readonly fields: LogFields;
}

/** All that the peers of a simulation told, in its order, with a digest over it and over every packet on the wire. */
export class SimJournal {
  readonly entries: JournalEntry[] = [];
  readonly #clock: VirtualClock;
  readonly #digest = createHash('sha256');

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  add(who: string, event: string, fields: LogFields = {}): void {
    // A server contains what one client breaks; a simulation must not.
    if (event === 'server.internal-error') throw new Error(`${who}: ${fields.message}\n${this.tail()}`);
    const entry = { at: this.#clock.now(), who, event, fields };
    this.entries.push(entry);
    this.#digest.update(`${JSON.stringify(entry)}\n`);
  }

  /** A packet that somebody sends. */
  addPacket(packet: Uint8Array): void {
    this.#digest.update(`${this.#clock.now()} `).update(packet);
  }

  /** @param about whom the events concern, where that may change */
  log(who: string, about?: () => string): Log {
    const add = (event: string, fields?: LogFields): void =>
      this.add(who, event, about === undefined ? fields : { ...fields, about: about() });
    return { error: add, warn: add, info: add, debug: add };
  }

  of(event: string, who?: string): JournalEntry[] {
    return this.entries.filter((entry) => entry.event === event && (who === undefined || entry.who === who));
  }

  /** Forgets the entries, not the digest: for runs of many hours. */
  forget(): void {
    this.entries.length = 0;
  }

  /** Equal exactly when two runs were. */
  digest(): string {
    return this.#digest.copy().digest('hex');
  }

  /** The last events, for the message of a test that fails. */
  tail(count = 40): string {
    return this.entries
      .slice(-count)
      .map(({ at, who, event, fields }) => `${at.toFixed(0).padStart(9)} ${who} ${event} ${JSON.stringify(fields)}`)
      .join('\n');
  }
}
