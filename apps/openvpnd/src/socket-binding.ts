import type { ConnectionEntry } from '@openvpnd/config';
import type { Endpoint, LinkListenOptions } from '@openvpnd/external-mux';
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

/**
 * Where a link to a peer of that family is to be bound; undefined: the system chooses.
 *
 * @throws ResolveError when `local` is a name that cannot be resolved
 */
export async function bindingFor(entry: ConnectionEntry, family: 4 | 6): Promise<Endpoint | undefined> {
  const { local, port } = await socketBinding(entry, family);
  return local ?? (port === undefined ? undefined : { family, address: family === 4 ? '0.0.0.0' : '::', port });
}
