import type { ConnectionEntry } from '@openvpnd/config';
import type { LinkListenOptions } from '@openvpnd/external-mux';
import { resolveHost } from './host/resolve.js';

/**
 * Where a socket is to be bound by `local`, `lport` and their like.
 *
 * @throws ResolveError when `local` is a name that cannot be resolved
 */
export async function socketBinding(
  entry: ConnectionEntry,
  family: 4 | 6 | undefined,
): Promise<Pick<LinkListenOptions, 'local' | 'port' | 'family'>> {
  const ofFamily = family === undefined ? {} : { family };
  if (!entry.bind) return ofFamily;
  if (entry.localHost === undefined) return { port: entry.localPort, ...ofFamily };
  const [address] = await resolveHost(entry.localHost, family);
  return { local: { family: address.family, address: address.address, port: entry.localPort } };
}
