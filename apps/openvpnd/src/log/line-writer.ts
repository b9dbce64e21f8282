import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { localTime } from '../local-time.js';

/** How log lines look and where they go. */
export interface LineWriterOptions {
  /** `--suppress-timestamps`. */
  readonly timestamps: boolean;
  /** `--verb` 4 and above add microseconds, as OpenVPN does. */
  readonly microseconds: boolean;
  /** `--log` / `--log-append`; standard output when absent. */
  readonly file?: { readonly path: string; readonly append: boolean };
}

const STDOUT = 1;
/** PIPE_BUF of Linux: so much goes into a pipe whole or not at all, where its reader does not keep up. */
const MAX_TOGETHER = 4096;

/**
 * Writes log lines the way OpenVPN does: `2026-11-21 04:18:15 text`, in local time, to standard output or a file.
 * A line is written whole; a log that cannot be written (disk full, closed pipe) never stops the tunnel.
 *
 * The lines of a turn of the loop are written together, when it is over and its packets have left: of a server to which many clients come, writing was
 * the larger part of what a turn took, for each line wakes who reads them.
 */
export class LineWriter {
  readonly #options: LineWriterOptions;
  readonly #descriptor: number;
  #second = -1;
  #stamp = '';
  #waiting = '';
  /** Of what waits. */
  #bytes = 0;
  readonly #flush: () => void = () => this.#writeWaiting();

  /** @throws the system's error when the log file cannot be opened. */
  constructor(options: LineWriterOptions) {
    this.#options = options;
    const file = options.file;
    this.#descriptor = file === undefined ? STDOUT : openLog(file.path, file.append);
    process.on('exit', this.#flush);
  }

  write(text: string): void {
    // One event is one line, whatever a peer managed to put into it.
    const line = `${this.#prefix()}${text.replace(/[\n\r]+/g, ' ')}\n`;
    const bytes = Buffer.byteLength(line);
    if (this.#bytes + bytes > MAX_TOGETHER) this.#writeWaiting();
    if (this.#bytes === 0) queueMicrotask(this.#flush);
    this.#waiting += line;
    this.#bytes += bytes;
  }

  close(): void {
    this.#writeWaiting();
    process.off('exit', this.#flush);
    if (this.#descriptor !== STDOUT) closeSync(this.#descriptor);
  }

  #writeWaiting(): void {
    if (this.#bytes === 0) return;
    const lines = this.#waiting;
    this.#waiting = '';
    this.#bytes = 0;
    try {
      writeSync(this.#descriptor, lines);
    } catch {
      // The tunnel matters more than its log.
    }
  }

  #prefix(): string {
    if (!this.#options.timestamps) return '';
    const now = new Date();
    const second = Math.floor(now.getTime() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#stamp = localTime(second);
    }
    if (!this.#options.microseconds) return `${this.#stamp} `;
    return `${this.#stamp} us=${String(now.getMilliseconds() * 1000)} `;
  }
}

/** Without waiting: a FIFO that nobody reads is refused (ENXIO), and a reader that stalls loses lines instead of stopping the tunnel. */
function openLog(path: string, append: boolean): number {
  const mode = append ? constants.O_APPEND : constants.O_TRUNC;
  return openSync(path, constants.O_WRONLY | constants.O_CREAT | constants.O_NONBLOCK | mode, 0o600);
}
