import { readlinkSync } from 'node:fs';
import { setPriority } from 'node:os';

/** Where threads are scheduled by priority, as by Linux: a tenth of what a thread of packets gets while both have work. */
const NICE = 10;

/**
 * Lets other threads of the process go before this one for good: who makes handshakes can wait longer than a packet can. Where threads have no priority of their own, or it
 * must not be changed, nothing happens.
 */
export function yieldProcessor(): void {
  try {
    const [thread] = readlinkSync('/proc/thread-self').split('/').slice(-1);
    setPriority(Number(thread), NICE);
  } catch {
    // No Linux, or no /proc.
  }
}
