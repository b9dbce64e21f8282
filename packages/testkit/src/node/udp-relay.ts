import { fileURLToPath } from 'node:url';
import type { LinkConditions } from '../link-conditions.js';
import type { LabNamespace } from './lab.js';
import type { RelayCounters } from './relay-path.js';
import { PATIENCE_MS, type RunningProcess } from './running-process.js';

const PROGRAM = fileURLToPath(new URL('../../dist/node/relay-process.js', import.meta.url));

/** A relay between one client and a target. */
export interface RelaySettings {
  /** Decides about every packet together with its number; the timing of the ends is still their own. */
  readonly seed: number;
  /** Where the client sends to. */
  readonly listen: { readonly address: string; readonly port: number };
  readonly target: { readonly address: string; readonly port: number };
  /** Faults on the way there and back; none where absent. */
  readonly toTarget?: Partial<LinkConditions>;
  readonly fromTarget?: Partial<LinkConditions>;
}

/** A process in a namespace that passes UDP packets on, with faults: loss, bursts, duplicates, reordering, corruption, delay, rebinding. */
export class UdpRelay {
  readonly #running: RunningProcess;

  private constructor(running: RunningProcess) {
    this.#running = running;
  }

  /** Starts it and waits until it listens. It ends with the lab. */
  static async start(place: LabNamespace, settings: RelaySettings): Promise<UdpRelay> {
    const running = place.start(process.execPath, [PROGRAM, JSON.stringify(settings)], {
      title: `${place.name}: relay`,
    });
    await running.waitForLine(/^relaying$/);
    return new UdpRelay(running);
  }

  /** The target sees the client from another port from now on, and what it sends to the old one is lost. */
  async rebind(): Promise<void> {
    const from = this.#running.lines.length;
    this.#running.signal('SIGUSR2');
    await this.#running.waitForLine(/^rebound$/, PATIENCE_MS, from);
  }

  /** Ends it and tells what it did. */
  async finish(): Promise<{ readonly toTarget: RelayCounters; readonly fromTarget: RelayCounters }> {
    this.#running.signal('SIGTERM');
    await this.#running.waitForEnd();
    return JSON.parse(this.#running.lines.at(-1) ?? '') as Awaited<ReturnType<UdpRelay['finish']>>;
  }
}
