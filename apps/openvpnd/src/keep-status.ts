import type { Run } from './run.js';
import { timerMs } from './timer-limit.js';

/**
 * Writes --status now and from time to time, and prints the same on SIGUSR2, as long as a run lasts.
 * OpenVPN: check_status_file(), print_status().
 *
 * @param compose the lines as they are now, Unix seconds
 * @returns stops it
 */
export function keepStatus(run: Run, compose: (now: number) => readonly string[]): () => void {
  const { clock, files, inbox, log, options, unixTime } = run;
  const lines = (): readonly string[] => compose(unixTime(clock.now()));
  inbox.onStatistics(() => {
    for (const line of lines()) log.say(1, line);
  });
  const seconds = options.log.status?.seconds ?? 0;
  let timer: NodeJS.Timeout | undefined;
  const { status } = files;
  if (status !== undefined && seconds > 0) {
    const write = (): void => status.write(`${lines().join('\n')}\n`);
    write();
    timer = setInterval(write, timerMs(seconds));
  }
  return () => {
    inbox.onStatistics(undefined);
    clearInterval(timer);
  };
}
