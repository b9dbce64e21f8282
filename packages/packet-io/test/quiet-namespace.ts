import { execFileSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';

export const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

/** Brings loopback up and has the system say nothing of its own: on a fresh interface it asks for IPv6 routers, and then what a test sends does not come alone. */
export function quietNamespace(): void {
  ip('link', 'set', 'lo', 'up');
  const ipv6 = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
  if (existsSync(ipv6)) writeFileSync(ipv6, '1');
}

export const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Turns the loop until something is so. */
export async function until(condition: () => boolean): Promise<void> {
  const end = performance.now() + 10_000;
  while (!condition()) {
    if (performance.now() > end) throw new Error('nothing has come');
    await turnOfLoop();
  }
}
