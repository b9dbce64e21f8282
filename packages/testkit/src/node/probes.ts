import { fileURLToPath } from 'node:url';
import type { LabNamespace } from './lab.js';
import { PATIENCE_MS, type RunningProcess } from './running-process.js';

/** What a series of echo requests gave. Times are round trips in milliseconds, in the order of arrival. */
export interface EchoResult {
  readonly sent: number;
  readonly received: number;
  readonly timesMs: readonly number[];
  /** NaN when nothing came back. */
  readonly medianMs: number;
}

/** What a timed TCP stream gave. */
export interface ThroughputResult {
  readonly bytes: number;
  readonly seconds: number;
  readonly megabitsPerSecond: number;
}

/** Settings of {@link ping} and {@link startPing}. */
export interface PingSettings {
  readonly count?: number;
  /** Seconds between requests; 0.2 when absent. */
  readonly interval?: number;
  /** Bytes of payload; 56 when absent. */
  readonly size?: number;
}

/** A reply that comes later is lost. */
const LATE_MS = 2000;

/** Pings from inside `from` (iputils) and gives the times. Replies that are late by more than two seconds count as lost. */
export async function ping(from: LabNamespace, target: string, settings: PingSettings = {}): Promise<EchoResult> {
  const { count = 5, interval = 0.2 } = settings;
  const pings = startPing(from, target, { ...settings, interval });
  // Not `-c`: ping would wait no longer for the last reply than the interval, which a busy machine exceeds.
  return await pings.finish(count, count * interval * 1000 + LATE_MS);
}

/** A ping that runs until {@link ContinuousPing.finish}. */
export class ContinuousPing {
  readonly #running: RunningProcess;

  /** @internal Made by {@link startPing}. */
  constructor(running: RunningProcess) {
    this.#running = running;
  }

  /** Resolves at the next reply; rejects after `timeoutMs`. */
  async reply(timeoutMs: number = PATIENCE_MS): Promise<void> {
    await this.#running.waitForLine(/bytes from .* time=/, timeoutMs, this.#running.lines.length);
  }

  /** What became of all requests that were sent before this call. Waits for replies that are under way. */
  async count(): Promise<EchoResult> {
    const from = this.#running.lines.length;
    this.#running.signal('SIGQUIT');
    const [, sent] = await this.#running.waitForLine(/\d+\/(\d+) packets, /, PATIENCE_MS, from);
    return await this.#settle(Number(sent), LATE_MS);
  }

  /** Ends it and gives what became of all requests, or of the first `count`. */
  async finish(count?: number, waitMs: number = LATE_MS): Promise<EchoResult> {
    const result = count === undefined ? await this.count() : await this.#settle(count, waitMs);
    this.#running.signal('SIGINT');
    await this.#running.waitForEnd();
    return result;
  }

  /**
   * Waits until the first `sent` requests are answered, or those that are not are late: a later one was answered two seconds ago, or
   * nothing comes any more for so long (for `waitMs` at first: the requests may still have to be sent).
   */
  async #settle(sent: number, waitMs: number): Promise<EchoResult> {
    const times = new Map<number, number>();
    let deadline = performance.now() + waitMs;
    let overtaken = false;
    for (let read = 0; ; ) {
      const { lines } = this.#running;
      for (; read < lines.length; read += 1) {
        const match = /icmp_seq=(\d+).* time=([\d.]+) ms/.exec(lines[read] ?? '');
        if (match === null) continue;
        const late = performance.now() + LATE_MS;
        if (Number(match[1]) <= sent) {
          times.set(Number(match[1]), Number(match[2]));
          if (!overtaken) deadline = Math.max(deadline, late);
        } else if (!overtaken) {
          overtaken = true;
          deadline = late;
        }
      }
      const left = deadline - performance.now();
      if (times.size >= sent || left <= 0 || this.#running.end !== undefined) break;
      await this.#running.waitForLine(/./, left, read).catch(() => {});
    }
    const timesMs = [...times.values()];
    return { sent, received: times.size, timesMs, medianMs: median(timesMs) };
  }
}

/** Starts a ping without an end inside `from`; `interval` 0.05 when absent. */
export function startPing(from: LabNamespace, target: string, settings: PingSettings = {}): ContinuousPing {
  return new ContinuousPing(from.start('ping', pingArguments(target, { interval: 0.05, ...settings })));
}

/** Round trips over UDP with an echo server inside `to`, for machines without ping. `target` is an address of `to`. */
export async function udpEcho(
  from: LabNamespace,
  to: LabNamespace,
  target: string,
  settings: { readonly count?: number; readonly intervalMs?: number; readonly port?: number } = {},
): Promise<EchoResult> {
  const { count = 20, intervalMs = 20, port = 40_007 } = settings;
  const server = to.start(process.execPath, [probe('udp-echo'), 'serve', target, String(port)]);
  try {
    await server.waitForLine(/^listening$/);
    const args = [probe('udp-echo'), 'measure', target, String(port), String(count), String(intervalMs)];
    const done = await from.run(process.execPath, args, count * intervalMs + 15_000);
    if (done.status !== 0) throw new Error(`udp echo to ${target}: ${done.output}`);
    const { sent, timesMs } = JSON.parse(done.stdout) as { sent: number; timesMs: number[] };
    return { sent, received: timesMs.length, timesMs, medianMs: median(timesMs) };
  } finally {
    await server.stop();
  }
}

/** One TCP stream from `from` to `target`, an address of `to`, for `seconds`; both ends are Node. */
export async function tcpThroughput(
  from: LabNamespace,
  to: LabNamespace,
  target: string,
  settings: { readonly seconds?: number; readonly port?: number } = {},
): Promise<ThroughputResult> {
  const { seconds = 3, port = 40_006 } = settings;
  const receiver = to.start(process.execPath, [probe('tcp-throughput'), 'receive', target, String(port)]);
  try {
    await receiver.waitForLine(/^listening$/);
    const args = [probe('tcp-throughput'), 'send', target, String(port), String(seconds)];
    const sender = await from.run(process.execPath, args, seconds * 1000 + 30_000);
    if (sender.status !== 0) throw new Error(`tcp stream to ${target}: ${sender.output}`);
    const [line] = await receiver.waitForLine(/^\{.*\}$/, 30_000);
    const result = JSON.parse(line) as { bytes: number; seconds: number };
    return { ...result, megabitsPerSecond: (result.bytes * 8) / result.seconds / 1e6 };
  } finally {
    await receiver.stop();
  }
}

/** The middle value; the mean of the two middle ones for an even count; NaN for none. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length % 2 === 1) return sorted[middle]!;
  return (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function pingArguments(target: string, { interval, size }: PingSettings): string[] {
  return ['-n', '-i', String(interval ?? 0.2), '-W', '2', '-s', String(size ?? 56), target];
}

/** src/node and dist/node lie equally deep, so this holds for sources under test and for the built package. */
function probe(name: string): string {
  return fileURLToPath(new URL(`../../probes/${name}.mjs`, import.meta.url));
}
