import type { ConnectionEntry } from '@openvpnd/config';
import type { Endpoint } from '@openvpnd/external-mux';

/** Where a client goes; undefined: it waits for a peer from anywhere. */
export type Target = Endpoint | undefined;

/**
 * Which addresses of an entry one attempt has to do with: the first alone, or with those that it races with.
 *
 * @param rivals those that come after it, in their order
 */
export function contenders(entry: ConnectionEntry, first: Target, rivals: readonly Target[]): readonly Endpoint[] {
  if (first === undefined) return [];
  const others = rivals.filter((rival) => rival !== undefined);
  const { transport, side } = entry.protocol;
  // Who waits for a connection waits for all addresses of its peer.
  if (transport === 'tcp' && side === 'server') return [first, ...others];
  if (entry.raceDelayMs === undefined) return [first];
  const otherFamily = others.filter(({ family }) => family !== first.family);
  // A datagram does not tell that it is lost: one address of each family is tried, the next two after a failure of both.
  if (transport === 'udp') return [first, ...otherFamily.slice(0, 1)];
  return otherFamily.length === 0 ? [first] : [first, ...others];
}
