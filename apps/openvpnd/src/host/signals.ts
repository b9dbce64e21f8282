/** The signals that steer a run, OpenVPN's nouns. SIGINT ends like SIGTERM but keeps its name in the log. */
export type RunSignal = 'SIGUSR1' | 'SIGHUP' | 'SIGTERM' | 'SIGINT';

/**
 * Why a run ends. `hard`: the system delivered it; `soft`: the program raised it itself, and `text` says why, in OpenVPN's words
 * (`tls-error`, `ping-restart`, `exit-with-notification`). OpenVPN: struct signal_info.
 */
export interface SignalInfo {
  readonly signal: RunSignal;
  readonly source: 'hard' | 'soft' | 'connection failed(soft)';
  readonly text: string;
  /** A client's next attempt, when the server said where or when it is to be. */
  readonly retry?: RetryAdvice;
}

/** What a server may say about the next attempt: `RESTART,[N]`, `AUTH_FAILED,TEMP[backoff 5,advance remote]`. */
export interface RetryAdvice {
  /** The same address again, the next address, or the next `remote`. */
  readonly advance: 'no' | 'address' | 'remote';
  readonly backoffSeconds?: number;
  /** Without a pause. */
  readonly immediately?: boolean;
}

/** The text of a SIGUSR1 after which no device is worth keeping, `--persist-tun` or not: somebody has deleted it. */
export const DEVICE_LOST = 'tun-stop';

/** `SIGUSR1[soft,tls-error] received, process restarting`. OpenVPN: print_signal(). */
export function describeSignal(info: SignalInfo, subject: 'process' | 'client-instance'): string {
  const ends = info.signal === 'SIGTERM' || info.signal === 'SIGINT';
  return `${info.signal}[${info.source},${info.text}] received, ${subject} ${ends ? 'exiting' : 'restarting'}`;
}

/** Which of two signals wins when both are pending. OpenVPN: signal_lookup priorities. */
const PRIORITY: Readonly<Record<RunSignal, number>> = { SIGUSR1: 0, SIGHUP: 1, SIGINT: 2, SIGTERM: 3 };

/**
 * Collects the signals of the process. One signal is pending at a time; a stronger one replaces a weaker one. Whoever runs
 * installs a listener and takes the signal when it is ready for it.
 */
export class SignalInbox {
  #pending: SignalInfo | undefined;
  #listener: (() => void) | undefined;
  #statisticsListener: (() => void) | undefined;
  readonly #handlers = new Map<NodeJS.Signals, () => void>();

  constructor() {
    for (const signal of ['SIGUSR1', 'SIGHUP', 'SIGTERM', 'SIGINT'] as const) {
      this.#on(signal, () => this.raise({ signal, source: 'hard', text: '' }));
    }
    this.#on('SIGUSR2', () => this.#statisticsListener?.());
  }

  /** Makes a signal pending, whether the system delivered it or a tunnel raised it. */
  raise(info: SignalInfo): void {
    if (this.#pending === undefined || PRIORITY[info.signal] > PRIORITY[this.#pending.signal]) this.#pending = info;
    this.#listener?.();
  }

  /** The pending signal without removing it. */
  get pending(): SignalInfo | undefined {
    return this.#pending;
  }

  /** Removes and returns the pending signal. */
  take(): SignalInfo | undefined {
    const info = this.#pending;
    this.#pending = undefined;
    return info;
  }

  /** Called after each {@link raise}; at once when something is pending already. `undefined` removes the listener. */
  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
    if (this.#pending !== undefined) listener?.();
  }

  /** SIGUSR2: print statistics. */
  onStatistics(listener: (() => void) | undefined): void {
    this.#statisticsListener = listener;
  }

  /** Waits until a signal is pending or the time has passed. */
  async wait(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(finish, milliseconds);
      const previous = this.#listener;
      const inbox = this;
      function finish(): void {
        clearTimeout(timer);
        inbox.#listener = previous;
        resolve();
      }
      this.listen(finish);
    });
  }

  close(): void {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
    this.#handlers.clear();
  }

  #on(signal: NodeJS.Signals, handler: () => void): void {
    this.#handlers.set(signal, handler);
    process.on(signal, handler);
  }
}
