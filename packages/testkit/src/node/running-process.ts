import { type ChildProcess, spawn } from 'node:child_process';

/**
 * The bound of a wait that names none, in milliseconds: far beyond what a busy machine needs for anything that happens by itself. A wait ends
 * as soon as the thing happens, so that only a failure takes this long.
 */
export const PATIENCE_MS = 20_000;

/** How a process ended: exactly one of the two is null. */
export interface ProcessEnd {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What {@link runToEnd} found. `output` holds stdout and stderr in the order in which they arrived, `stdout` the first alone. */
export interface FinishedProcess extends ProcessEnd {
  readonly output: string;
  readonly stdout: string;
}

/** Settings of a process that a test starts. */
export interface ProcessSettings {
  /** For messages; the command's own name when absent. */
  readonly title?: string;
  readonly cwd?: string;
  /** Added to this process's own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Text for stdin; without it stdin is empty. */
  readonly input?: string;
}

/**
 * A process under observation: its output is collected line by line and can be waited for, with a bound on every wait.
 *
 * stdout and stderr are one sequence of lines. The lines are kept for the life of the object.
 */
export class RunningProcess {
  readonly title: string;
  /** Resolves when the process is gone and its output is complete. Never rejects. */
  readonly ended: Promise<ProcessEnd>;
  readonly #child: ChildProcess;
  readonly #lines: string[] = [];
  #stdout = '';
  #end: ProcessEnd | undefined;
  #watchers = new Set<() => void>();

  constructor(command: string, args: readonly string[], settings: ProcessSettings = {}) {
    this.title = settings.title ?? command;
    this.#child = spawn(command, args, {
      cwd: settings.cwd,
      env: { ...process.env, ...settings.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // A process that does not read its stdin must not fail the test.
    this.#child.stdin?.on('error', () => {});
    this.#child.stdin?.end(settings.input ?? '');
    this.#collect(this.#child.stdout, true);
    this.#collect(this.#child.stderr, false);
    this.ended = new Promise((resolve) => {
      const finish = (end: ProcessEnd): void => {
        this.#end = end;
        this.#notify();
        resolve(end);
      };
      this.#child.on('error', (error) => {
        this.#lines.push(`cannot run ${command}: ${error.message}`);
        if (this.#child.pid === undefined) finish({ status: 127, signal: null });
      });
      this.#child.on('close', (status, signal) => finish({ status, signal }));
    });
  }

  /** The process id, or undefined when it could not be started. */
  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** How it ended, or undefined while it runs. */
  get end(): ProcessEnd | undefined {
    return this.#end;
  }

  /** Every line so far, without line ends. */
  get lines(): readonly string[] {
    return this.#lines;
  }

  /** stdout alone, so far. */
  get stdout(): string {
    return this.#stdout;
  }

  /**
   * How many lines so far match. What another process has caused may still be on its way: use it for what must not be there, or once the process has
   * ended, and {@link waitForAtLeast} or {@link waitForExactly} for what must come.
   */
  countLines(pattern: RegExp): number {
    return this.#lines.filter((line) => pattern.test(line)).length;
  }

  /**
   * Waits for a line that matches and gives the match. Lines that came before the call count, from index `from` on: take
   * `lines.length` before an action to see only what the action caused.
   *
   * Rejects after `timeoutMs`, and at once when the process ends without such a line; the message holds the last lines.
   */
  async waitForLine(pattern: RegExp, timeoutMs: number = PATIENCE_MS, from = 0): Promise<RegExpMatchArray> {
    let next = from;
    const find = (): RegExpMatchArray | undefined => {
      for (; next < this.#lines.length; next++) {
        const match = this.#lines[next]?.match(pattern);
        if (match) return match;
      }
      return undefined;
    };
    let match: RegExpMatchArray | undefined;
    const done = await this.#waitUntil(() => {
      match = find();
      return match !== undefined || this.#end !== undefined;
    }, timeoutMs);
    if (match !== undefined) return match;
    throw new Error(
      `${this.title}: ${done ? `ended (${this.#endText()}) without` : `no line within ${timeoutMs} ms that matches`} ${pattern}\n${this.tail()}`,
    );
  }

  /**
   * Waits until `count` lines match, those before the call included. Rejects after `timeoutMs`, and at once when the process ends with fewer; the
   * message holds the last lines.
   */
  async waitForAtLeast(pattern: RegExp, count: number, timeoutMs: number = PATIENCE_MS): Promise<void> {
    const done = await this.#waitUntil(() => this.countLines(pattern) >= count || this.#end !== undefined, timeoutMs);
    const found = this.countLines(pattern);
    if (found >= count) return;
    throw new Error(
      `${this.title}: ${done ? `ended (${this.#endText()}) with` : `within ${timeoutMs} ms`} ${found} of ${count} lines that match ${pattern}\n${this.tail()}`,
    );
  }

  /** As {@link waitForAtLeast}, and rejects too when more lines match than `count`, by the time that there are as many. */
  async waitForExactly(pattern: RegExp, count: number, timeoutMs: number = PATIENCE_MS): Promise<void> {
    await this.waitForAtLeast(pattern, count, timeoutMs);
    const found = this.countLines(pattern);
    if (found === count) return;
    throw new Error(`${this.title}: ${found} lines match ${pattern}, and not ${count}\n${this.tail()}`);
  }

  /** Waits for the end of the process. Rejects after `timeoutMs`; the process then still runs. */
  async waitForEnd(timeoutMs: number = PATIENCE_MS): Promise<ProcessEnd> {
    if (await this.#waitUntil(() => this.#end !== undefined, timeoutMs)) return this.#end as ProcessEnd;
    throw new Error(`${this.title}: still running after ${timeoutMs} ms\n${this.tail()}`);
  }

  /** Sends a signal; false when the process is gone. */
  signal(signal: NodeJS.Signals): boolean {
    return this.#end === undefined && this.#child.kill(signal);
  }

  /** Ends the process: SIGTERM, and SIGKILL if it is still there after `graceMs`. */
  async stop(graceMs: number = PATIENCE_MS): Promise<ProcessEnd> {
    if (this.#end === undefined) {
      this.#child.kill('SIGTERM');
      if (!(await this.#waitUntil(() => this.#end !== undefined, graceMs))) this.#child.kill('SIGKILL');
    }
    return this.ended;
  }

  /** The last lines, for a message. */
  tail(count = 40): string {
    return this.#lines
      .slice(-count)
      .map((line) => `  | ${line}`)
      .join('\n');
  }

  #collect(stream: NodeJS.ReadableStream | null, isStdout: boolean): void {
    if (stream === null) return;
    let partial = '';
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      if (isStdout) this.#stdout += text;
      const pieces = (partial + text).split('\n');
      partial = pieces.pop() ?? '';
      for (const piece of pieces) this.#lines.push(piece.endsWith('\r') ? piece.slice(0, -1) : piece);
      if (pieces.length > 0) this.#notify();
    });
    stream.on('end', () => {
      if (partial !== '') this.#lines.push(partial);
      partial = '';
      this.#notify();
    });
  }

  #notify(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }

  /** True when the condition came to hold in time. It is looked at after every new line and at the end of the process. */
  #waitUntil(condition: () => boolean, timeoutMs: number): Promise<boolean> {
    if (condition()) return Promise.resolve(true);
    return new Promise((resolve) => {
      const settle = (held: boolean): void => {
        clearTimeout(timer);
        this.#watchers.delete(watcher);
        resolve(held);
      };
      const watcher = (): void => {
        if (condition()) settle(true);
      };
      const timer = setTimeout(() => settle(false), timeoutMs);
      this.#watchers.add(watcher);
    });
  }

  #endText(): string {
    return this.#end?.signal ?? `status ${this.#end?.status}`;
  }
}

/** Runs a command to its end and gives its output; a command that is not done after `timeoutMs` is killed and the promise rejects. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  timeoutMs: number,
  settings: ProcessSettings = {},
): Promise<FinishedProcess> {
  const running = new RunningProcess(command, args, settings);
  try {
    const end = await running.waitForEnd(timeoutMs);
    return { ...end, output: running.lines.join('\n'), stdout: running.stdout };
  } finally {
    await running.stop(0);
  }
}
