// Which congestion control the streams of a bench use, said in place of what the machine happens to have.

import { readFileSync } from 'node:fs';
import { stop } from './programs.mjs';

/**
 * `--congestion`: that of the streams, inside of a tunnel and, over TCP, outside. A namespace takes that of the machine otherwise; CUBIC is what Linux has by itself.
 * BBR sends at a pace of its own, a super-packet or two at a time, and so gives a tunnel less to do at once.
 */
export const CONGESTION_OPTION = { congestion: { type: 'string', default: 'cubic' } };

/** Ends with a word where the kernel has no such congestion control, or does not let a namespace choose it. */
export function requireCongestion(name) {
  const [known, allowed] = ['available', 'allowed'].map((which) =>
    readFileSync(`/proc/sys/net/ipv4/tcp_${which}_congestion_control`, 'utf8').trim().split(' '),
  );
  if (!known.includes(name)) stop(`--congestion ${name} is not one of ${known.join(', ')}`);
  if (!allowed.includes(name)) {
    stop(
      `no namespace may choose --congestion ${name}: sysctl -w net.ipv4.tcp_allowed_congestion_control="${[...allowed, name].join(' ')}" lets them`,
    );
  }
}

/** Streams from and to that namespace use this congestion control from now on. */
export async function setCongestion(namespace, name) {
  const file = '/proc/sys/net/ipv4/tcp_congestion_control';
  const done = await namespace.run('sh', ['-c', `echo "$1" > ${file}`, 'sh', name], 10_000);
  if (done.status !== 0) throw new Error(`the congestion control cannot be ${name}: ${done.output}`);
}
