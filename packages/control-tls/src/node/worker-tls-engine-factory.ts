import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { TlsEngine } from '../ports.js';
import { type NodeTlsEngineFactory, nodeTlsEngineFactory } from './node-tls-engine-factory.js';
import type { NodeTlsOptions } from './node-tls-options.js';
import { readReports, TlsCommandWriter } from './tls-worker-frames.js';
import type { Exporter, TlsEngineCommand, TlsWorkerData, TlsWorkerMessage } from './tls-worker-messages.js';
import { WorkerTlsEngine } from './worker-tls-engine.js';

/** More would wait for each other: what they do most is asymmetric cryptography. */
const MAX_WORKERS = 4;
/** What a handshake leaves behind is little, and a young generation that has grown does not shrink. */
const RESOURCE_LIMITS = { maxYoungGenerationSizeMb: 6 };
/** The program as it is built, also for tests, which run on the sources. */
const PROGRAM = fileURLToPath(new URL('../../dist/node/tls-worker.js', import.meta.url));

export interface WorkerTlsOptions {
  /** Keying material that owners of engines will ask for; nothing else can be exported. */
  readonly exporters: readonly Exporter[];
  /** Threads. Default: one less than there are processors, 1 … 4. */
  readonly workers?: number;
}

/** A {@link NodeTlsEngineFactory} that has threads. */
export interface WorkerTlsEngineFactory extends NodeTlsEngineFactory {
  /**
   * Starts the threads, about a tenth of a second of work each. Without it the first engine of a thread starts it, and waits for it.
   * For an owner that has something more urgent to do first, such as listening.
   */
  warmUp(): void;
  /** Messages to and from the threads since the start: each wakes somebody, so that they are few is worth a test. */
  readonly messages: number;
  /** Ends the threads; engines that are left fail. Idempotent. */
  close(): Promise<void>;
}

/**
 * TLS engines on node:tls in threads of their own, so that handshakes, a millisecond or more of work each, delay nothing in the thread of
 * the packets. A thread that dies takes its engines along, which fail; the next engine gets a new one. The threads keep no process alive.
 *
 * @throws TlsOptionsError when the options cannot work
 */
export function workerTlsEngineFactory(
  options: NodeTlsOptions,
  { exporters, workers = defaultWorkers() }: WorkerTlsOptions,
): WorkerTlsEngineFactory {
  // Here they are only tried: a worker could not tell before the first handshake.
  const trial = nodeTlsEngineFactory(options);
  const data = { options, exporters };
  const pool = Array.from({ length: workers }, () => new TlsWorker(data));
  return {
    replaceOptions(replacement: NodeTlsOptions): void {
      trial.replaceOptions(replacement);
      for (const worker of pool) worker.replaceOptions(replacement);
    },
    create({ role, wake }): TlsEngine {
      const [idlest] = pool.toSorted((a, b) => a.load - b.load);
      if (idlest === undefined) throw new RangeError('a factory needs one worker at least');
      return idlest.createEngine(role, wake);
    },
    warmUp(): void {
      for (const worker of pool) worker.warmUp();
    },
    get messages(): number {
      return pool.reduce((sum, worker) => sum + worker.messages, 0);
    },
    async close(): Promise<void> {
      await Promise.all(pool.map((worker) => worker.close()));
    },
  };
}

function defaultWorkers(): number {
  return Math.max(1, Math.min(MAX_WORKERS, availableParallelism() - 1));
}

/** One thread and the near sides of the engines in it. */
class TlsWorker {
  #data: TlsWorkerData;
  #thread: Worker | undefined;
  #closed = false;
  #nextId = 1;
  #messages = 0;
  readonly #engines: Map<number, WorkerTlsEngine> = new Map();
  /** What this turn has said so far. */
  readonly #commands = new TlsCommandWriter();

  constructor(data: TlsWorkerData) {
    this.#data = data;
  }

  /** To and from the thread, so far. */
  get messages(): number {
    return this.#messages;
  }

  /** Engines that live here. */
  get load(): number {
    return this.#engines.size;
  }

  warmUp(): void {
    if (this.#closed) throw new TypeError('the factory is closed');
    this.#thread ??= this.#startThread();
  }

  createEngine(role: 'client' | 'server', wake: () => void): TlsEngine {
    this.warmUp();
    const id = this.#nextId;
    this.#nextId += 1;
    const engine = new WorkerTlsEngine({
      id,
      exporters: this.#data.exporters,
      wake,
      post: (command) => this.#say(command),
      closed: () => this.#engines.delete(id),
    });
    this.#engines.set(id, engine);
    this.#say({ type: 'create', id, role });
    return engine;
  }

  replaceOptions(options: NodeTlsOptions): void {
    this.#data = { ...this.#data, options };
    this.#send();
    this.#post({ options });
  }

  async close(): Promise<void> {
    this.#closed = true;
    const thread = this.#thread;
    this.#lose('the TLS worker was closed');
    await thread?.terminate();
  }

  /** Commands go together when the turn that gives them is over: each message wakes the thread. */
  #say(command: TlsEngineCommand): void {
    if (this.#commands.isEmpty) queueMicrotask(() => this.#send());
    this.#commands.add(command);
  }

  #send(): void {
    if (this.#commands.isEmpty) return;
    const commands = this.#commands.take();
    this.#post({ commands });
    // Passwords may be in it; the thread has its own copy.
    commands.fill(0);
  }

  #post(message: TlsWorkerMessage): void {
    this.#messages += 1;
    this.#thread?.postMessage(message);
  }

  #startThread(): Worker {
    const thread = new Worker(PROGRAM, { workerData: this.#data, resourceLimits: RESOURCE_LIMITS });
    thread.on('message', (reports: Uint8Array) => {
      this.#messages += 1;
      for (const report of readReports(reports)) this.#engines.get(report.id)?.handleReport(report);
      reports.fill(0);
    });
    const lost = (reason: string): void => {
      if (this.#thread === thread) this.#lose(reason);
    };
    thread.on('error', (error) => lost(`the TLS worker has ended: ${error.message}`));
    thread.on('exit', () => lost('the TLS worker has ended'));
    thread.unref();
    return thread;
  }

  #lose(reason: string): void {
    this.#thread = undefined;
    const engines = [...this.#engines.values()];
    this.#engines.clear();
    this.#commands.take();
    for (const engine of engines) engine.fail(reason);
  }
}
