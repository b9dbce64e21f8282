import type { ConnectionEntry } from '@openvpnd/config';
import type { Endpoint } from '@openvpnd/external-mux';
import type { ResolvedAddress } from '../host/resolve.js';

/** Where a client's link to a peer of that family is to be bound; undefined: the system chooses. `locals`: the addresses of `local`, if there is one. */
export function bindingFor(
  entry: ConnectionEntry,
  locals: readonly ResolvedAddress[] | undefined,
  family: 4 | 6,
): Endpoint | undefined {
  if (!entry.bind) return undefined;
  const local = locals?.find((one) => one.family === family);
  return { family, address: local?.address ?? (family === 4 ? '0.0.0.0' : '::'), port: entry.localPort };
}
