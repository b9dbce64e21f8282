import type { Run } from '../run.js';
import { timerMs } from '../timer-limit.js';
import type { ClientAddressing } from './client-addressing.js';

/**
 * Reads --ifconfig-pool-persist for a server that starts, and writes it from time to time and when it stops. Without the option, nothing happens.
 * OpenVPN: ifconfig_pool_persist_init(), multi_ifconfig_pool_persist().
 *
 * @returns stops it, with a last writing
 */
export async function persistPool(run: Run, addressing: ClientAddressing): Promise<() => void> {
  const { log, files, options } = run;
  const seconds = options.server?.poolPersist?.seconds ?? 0;
  const file = files.pool;
  if (file === undefined) return () => {};
  try {
    for (const { verb, text } of addressing.restorePool(await file.read(), seconds === 0)) log.say(verb, text);
  } catch (error) {
    log.say(1, `WARNING: cannot read the file of --ifconfig-pool-persist: ${(error as Error).message}`);
  }
  if (seconds === 0) return () => {};
  const timer = setInterval(() => file.write(addressing.poolText), timerMs(seconds));
  return () => {
    clearInterval(timer);
    file.write(addressing.poolText);
  };
}
