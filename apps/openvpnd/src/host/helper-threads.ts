import { readdirSync } from 'node:fs';
import { setPriority } from 'node:os';

/** While there is work for all, a tenth of what the main thread gets. */
const NICE = 10;

/**
 * Lets the main thread, which moves the packets, go before the threads of Node.js that are there now: they compile, collect garbage and look up names. Those that are made
 * later are not changed. Where threads have no priority of their own nothing happens.
 */
export function lowerHelperThreads(): void {
  try {
    for (const thread of readdirSync('/proc/self/task')) {
      if (Number(thread) !== process.pid) setPriority(Number(thread), NICE);
    }
  } catch {
    // No Linux, no /proc, or a thread that has just ended.
  }
}
