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
  /** How long replies that do not come are waited for, in milliseconds; 5000 when absent. Less saves time where none is expected. */
  readonly patienceMs?: number;
}

/** A reply that has not come when nothing has come for so long is lost: a busy machine may rest for seconds. */
const SILENCE_MS = 5000;
/** A reply that comes so long after that of a later request is lost: there is nothing on the way that would keep it. */
const OVERTAKEN_MS = 2000;

/** Pings from inside `from` (iputils) and gives the times. */
export async function ping(from: LabNamespace, target: string, settings: PingSettings = {}): Promise<EchoResult> {
  const { count = 5, interval = 0.2 } = settings;
  const pings = startPing(from, target, { ...settings, interval });
  // Not `-c`: ping would wait no longer for the last reply than the interval, which a busy machine exceeds.
  return await pings.finish(count, count * interval * 1000);
}

/** A ping that runs until {@link ContinuousPing.finish}. */
export class ContinuousPing {
  readonly #running: RunningProcess;
  readonly #patienceMs: number;

  /** @internal Made by {@link startPing}. */
  constructor(running: RunningProcess, patienceMs: number = SILENCE_MS) {
    this.#running = running;
    this.#patienceMs = patienceMs;
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
    return await this.#settle(Number(sent), 0);
  }

  /** Ends it and gives what became of all requests, or of the first `count`, which may need `sendMs` to be sent. */
  async finish(count?: number, sendMs: number = 0): Promise<EchoResult> {
    const result = count === undefined ? await this.count() : await this.#settle(count, sendMs);
    this.#running.signal('SIGINT');
    await this.#running.waitForEnd();
    return result;
  }

  /**
   * Waits until the first `sent` requests are answered, or those that are not are lost: a later one was answered a while ago, or nothing
   * comes any more (from `sendMs` on: the requests may still have to be sent).
   */
  async #settle(sent: number, sendMs: number): Promise<EchoResult> {
    const times = new Map<number, number>();
    let deadline = performance.now() + sendMs + this.#patienceMs;
    let overtaken = false;
    const { lines } = this.#running;
    for (let read = 0; ; ) {
      for (; read < lines.length; read += 1) {
        const match = /icmp_seq=(\d+).* time=([\d.]+) ms/.exec(lines[read] ?? '');
        if (match === null) continue;
        if (Number(match[1]) <= sent) {
          times.set(Number(match[1]), Number(match[2]));
          if (!overtaken) deadline = Math.max(deadline, performance.now() + this.#patienceMs);
        } else if (!overtaken) {
          overtaken = true;
          deadline = performance.now() + OVERTAKEN_MS;
        }
      }
      if (times.size >= sent || this.#running.end !== undefined) break;
      const left = deadline - performance.now();
      if (left > 0) {
        await this.#running.waitForLine(/./, left, read).catch(() => {});
        continue;
      }
      // It may be this process that has rested: what has come meanwhile is read in the next turn.
      await new Promise((resolve) => setImmediate(resolve));
      if (lines.length === read) break;
    }
    const timesMs = [...times.values()];
    return { sent, received: times.size, timesMs, medianMs: median(timesMs) };
  }
}

/** Starts a ping without an end inside `from`; `interval` 0.05 when absent. */
export function startPing(from: LabNamespace, target: string, settings: PingSettings = {}): ContinuousPing {
  const running = from.start('ping', pingArguments(target, { interval: 0.05, ...settings }));
  return new ContinuousPing(running, settings.patienceMs);
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

/** Settings of {@link tcpThroughput}. */
export interface ThroughputSettings {
  /** How long it goes on; 3 when absent. */
  readonly seconds?: number;
  /** How much is sent at least, in bytes, however long that takes (but for half a minute more). */
  readonly bytes?: number;
  /** Instead of `seconds` and `bytes`: it goes on until this is settled. A rejection is passed on. */
  readonly until?: Promise<unknown>;
  readonly port?: number;
}

/** One TCP stream from `from` to `target`, an address of `to`; both ends are Node. */
export async function tcpThroughput(
  from: LabNamespace,
  to: LabNamespace,
  target: string,
  settings: ThroughputSettings = {},
): Promise<ThroughputResult> {
  const { seconds = 3, bytes = 0, until, port = 40_006 } = settings;
  const receiver = to.start(process.execPath, [probe('tcp-throughput'), 'receive', target, String(port)]);
  let sender: RunningProcess | undefined;
  try {
    await receiver.waitForLine(/^listening$/);
    const limits = until === undefined ? [String(seconds), String(bytes)] : ['-', '0'];
    sender = from.start(process.execPath, [probe('tcp-throughput'), 'send', target, String(port), ...limits]);
    if (until !== undefined) {
      await Promise.all([sender.waitForLine(/^sending$/), Promise.race([until, sender.ended])]);
      sender.signal('SIGTERM');
    }
    const { status } = await sender.waitForEnd((until === undefined ? seconds * 1000 : 0) + 30_000);
    if (status !== 0) throw new Error(`tcp stream to ${target}: ${sender.tail()}`);
    const [line] = await receiver.waitForLine(/^\{.*\}$/, 30_000);
    const result = JSON.parse(line) as { bytes: number; seconds: number };
    return { ...result, megabitsPerSecond: (result.bytes * 8) / result.seconds / 1e6 };
  } finally {
    await Promise.all([sender?.stop(0), receiver.stop()]);
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
