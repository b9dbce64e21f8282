import type { SignalInbox, SignalInfo } from './host/signals.js';

/**
 * Waits for something that can be taken back, or until a signal comes.
 *
 * @param begin starts it, calls back with what came of it, and answers how to take it back; that is done in any case
 * @returns undefined when a signal came before; it is still pending
 */
export function untilSignal<T>(
  inbox: SignalInbox,
  begin: (finish: (outcome: T) => void) => () => void,
): Promise<T | undefined> {
  return new Promise((resolve) => {
    let over = false;
    const cancel = begin(finish);
    if (!over) inbox.listen(() => finish(undefined));
    function finish(outcome: T | undefined): void {
      if (over) return;
      over = true;
      inbox.listen(undefined);
      // What calls back at once has not said yet how to take it back.
      queueMicrotask(() => cancel());
      resolve(outcome);
    }
  });
}

/** The signal that has come before a client had its link. OpenVPN calls that place init_instance. */
export function takeInterruption(inbox: SignalInbox): SignalInfo {
  const info = inbox.take() ?? { signal: 'SIGUSR1', source: 'soft', text: 'connection-failed' };
  return { ...info, text: info.text || 'init_instance' };
}
