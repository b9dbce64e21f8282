import type { LabNamespace, RunningProcess } from '@openvpnd/testkit/node';

/** Between two echo requests. */
const INTERVAL_SECONDS = 0.02;
/** A reply that comes later than that is lost. */
const LATE_MS = 3000;

/** An echo request every 20 ms for as long as it beats, with an eye on each single reply. */
export class Heartbeat {
  readonly #running: RunningProcess;
  readonly #seen: Set<number> = new Set();
  #read = 0;
  #worstMs = 0;

  private constructor(running: RunningProcess) {
    this.#running = running;
  }

  /** Starts it and waits for the first reply. */
  static async start(from: LabNamespace, target: string): Promise<Heartbeat> {
    const heartbeat = new Heartbeat(from.start('ping', ['-n', '-i', String(INTERVAL_SECONDS), target]));
    await heartbeat.#running.waitForLine(/icmp_seq=/, LATE_MS);
    return heartbeat;
  }

  /** How many replies came, and how many are missing among all requests that were sent before this call. Waits for what is under way. */
  async count(): Promise<{ readonly received: number; readonly lost: number; readonly worstMs: number }> {
    this.#take();
    const before = Math.max(...this.#seen);
    const { lines } = this.#running;
    // Whatever was sent before the call has its answer, or has lost it, when requests that were sent after it are answered.
    const later = before + Math.ceil(0.5 / INTERVAL_SECONDS);
    const deadline = performance.now() + LATE_MS;
    while (Math.max(...this.#seen) < later && performance.now() < deadline) {
      await this.#running.waitForLine(/icmp_seq=/, LATE_MS, lines.length);
      this.#take();
    }
    let lost = 0;
    for (let sequence = 1; sequence <= before; sequence += 1) if (!this.#seen.has(sequence)) lost += 1;
    return { received: this.#seen.size, lost, worstMs: this.#worstMs };
  }

  #take(): void {
    const { lines } = this.#running;
    for (; this.#read < lines.length; this.#read += 1) {
      const match = /icmp_seq=(\d+).* time=([\d.]+)/.exec(lines[this.#read]);
      if (match === null) continue;
      this.#seen.add(Number(match[1]));
      this.#worstMs = Math.max(this.#worstMs, Number(match[2]));
    }
  }
}
