import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';

export const ip = (...words: string[]): string => execFileSync('ip', words, { encoding: 'utf8' });

/** Brings loopback up and has the system say nothing of its own: on a fresh interface it asks for IPv6 routers, and then what a test sends does not come alone. */
export function quietNamespace(): void {
  ip('link', 'set', 'lo', 'up');
  const ipv6 = '/proc/sys/net/ipv6/conf/default/disable_ipv6';
  if (existsSync(ipv6)) writeFileSync(ipv6, '1');
}

/**
 * Slows loopback down, which takes everything at once as it is: then what is sent waits on the way, and a socket fills. Without tc, or a kernel that has tbf, the test is
 * skipped, or fails under OPENVPND_REQUIRE_TOOLS=1.
 *
 * @param limits of tc-tbf: `rate 8mbit burst 4kb latency 2s`
 */
export function slowLoopback(limits: string, skip: (note: string) => void): void {
  if (spawnSync('tc', `qdisc replace dev lo root tbf ${limits}`.split(' ')).status === 0) return;
  const note = 'no tc, or a kernel without tbf';
  if (process.env.OPENVPND_REQUIRE_TOOLS === '1') throw new Error(note);
  skip(note);
}

/** The end of {@link slowLoopback}. */
export function loopbackAsItIs(): void {
  spawnSync('tc', 'qdisc del dev lo root'.split(' '));
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
