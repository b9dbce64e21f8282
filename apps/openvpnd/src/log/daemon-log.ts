import type { Log, LogFields } from '@openvpnd/sans-io';
import { EVENT_LINES } from './event-lines.js';
import type { LineWriter } from './line-writer.js';

/** From this verbosity on also the events that have no line of OpenVPN's are printed, with their fields. */
const RAW_EVENTS_VERB = 7;

/** Fields that every event of one source is given, asked for anew each time: the name of a peer may change. */
export type Surroundings = () => LogFields;

/**
 * The daemon's log: OpenVPN's lines, those of the host as they are and those of the protocol packages through
 * {@link EVENT_LINES}.
 */
export class DaemonLog {
  readonly #writer: LineWriter;
  readonly #verbosity: number;
  readonly #mute: number;
  /** The event of the last line, how often it came in a row, and how many of these were kept back. */
  #row: { event: string; count: number; suppressed: number } = { event: '', count: 0, suppressed: 0 };
  /** How often a limited event was printed in the second that is given first. */
  readonly #printed: Map<string, { second: number; count: number }> = new Map();

  /** @param mute --mute: how many lines of one kind are printed in a row; 0: all */
  constructor(writer: LineWriter, verbosity: number, mute = 0) {
    this.#writer = writer;
    this.#verbosity = verbosity;
    this.#mute = mute;
  }

  /** Prints a line from `verb` on; 0 is always. */
  say(verb: number, text: string): void {
    if (verb > this.#verbosity) return;
    this.#endRow();
    this.#writer.write(text);
  }

  /** A log for a protocol package. `prefix` stands in front of each line: `client1/192.0.2.7:40112 `. */
  events(prefix: () => string, surroundings: Surroundings = () => ({})): Log {
    const print = (event: string, fields: LogFields | undefined): void => {
      const line = EVENT_LINES[event];
      if (line === undefined) {
        if (this.#verbosity >= RAW_EVENTS_VERB) this.#writer.write(`${prefix()}${event}${spell(fields)}`);
        return;
      }
      if (line.verb > this.#verbosity) return;
      if (line.perSecond !== undefined && !this.#admits(event, line.perSecond)) return;
      if (this.#isMuted(event)) return;
      const text = line.text({ ...surroundings(), ...fields });
      for (const part of typeof text === 'string' ? [text] : text) this.#writer.write(prefix() + part);
    };
    return { error: print, warn: print, info: print, debug: print };
  }

  /** --mute. The kind of a line is its event, as in OpenVPN it is its debug level. */
  #isMuted(event: string): boolean {
    if (this.#mute === 0) return false;
    if (event !== this.#row.event) {
      this.#endRow();
      this.#row = { event, count: 0, suppressed: 0 };
    }
    this.#row.count += 1;
    if (this.#row.count <= this.#mute) return false;
    this.#row.suppressed += 1;
    return true;
  }

  #endRow(): void {
    const { suppressed } = this.#row;
    this.#row = { event: '', count: 0, suppressed: 0 };
    if (suppressed > 0) {
      this.#writer.write(`${suppressed} variation(s) on previous ${this.#mute} message(s) suppressed by --mute`);
    }
  }

  #admits(event: string, perSecond: number): boolean {
    const second = Math.floor(performance.now() / 1000);
    const printed = this.#printed.get(event);
    if (printed === undefined || printed.second !== second) {
      this.#printed.set(event, { second, count: 1 });
      return true;
    }
    printed.count += 1;
    return printed.count <= perSecond;
  }
}

function spell(fields: LogFields | undefined): string {
  const parts = Object.entries(fields ?? {}).filter(([, value]) => value !== undefined);
  return parts.map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join('');
}
