// What the kernel of a namespace does in a bench, said in place of what the machine happens to have.

/**
 * `--congestion`: which congestion control the streams use, inside of a tunnel and, over TCP, outside. A namespace takes that of the machine otherwise; CUBIC is what
 * Linux has by itself. BBR sends at a pace of its own, a super-packet or two at a time, and so gives a tunnel less to do at once.
 */
export const CONGESTION_OPTION = { congestion: { type: 'string', default: 'cubic' } };

/** Sets values under /proc/sys/net in a namespace: `{ 'ipv4/tcp_congestion_control': 'cubic' }`. */
export async function setKernel(namespace, settings) {
  for (const [name, value] of Object.entries(settings)) {
    const done = await namespace.run('sh', ['-c', `echo "$1" > "/proc/sys/net/$2"`, 'sh', value, name], 10_000);
    if (done.status !== 0) throw new Error(`${name} cannot be ${value}: ${done.output}`);
  }
}

/** Streams from and to that namespace use this congestion control. */
export function setCongestion(namespace, name) {
  return setKernel(namespace, { 'ipv4/tcp_congestion_control': name });
}
