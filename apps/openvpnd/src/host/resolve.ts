import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';

/** One address that a name resolved to. */
export interface ResolvedAddress {
  readonly family: 4 | 6;
  readonly address: string;
}

/** A name that does not resolve. The message is OpenVPN's line. */
export class ResolveError extends Error {
  readonly code = 'ERR_RESOLVE';
  override readonly name = 'ResolveError';
}

/** Longest wait for the resolver: libc's own limit for two servers is 20 s. */
const RESOLVE_TIMEOUT_MS = 20_000;

/**
 * All addresses of a host in the order the resolver returns them, restricted to a family when one is given.
 * OpenVPN: openvpn_getaddrinfo().
 *
 * @throws ResolveError
 */
export async function resolveHost(host: string, family: 4 | 6 | undefined): Promise<readonly ResolvedAddress[]> {
  const literal = isIP(host);
  if (literal !== 0) {
    if (family !== undefined && literal !== family) {
      throw new ResolveError(`RESOLVE: Cannot use the IPv${literal} address ${host} where IPv${family} is asked for`);
    }
    return [{ family: literal as 4 | 6, address: host }];
  }
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error('no answer from the resolver')), RESOLVE_TIMEOUT_MS);
  });
  try {
    const found = await Promise.race([lookup(host, { all: true, verbatim: true, family: family ?? 0 }), timeout]);
    return found.map((entry) => ({ family: entry.family === 6 ? 6 : 4, address: entry.address }));
  } catch (error) {
    throw new ResolveError(`RESOLVE: Cannot resolve host address: ${host} (${reasonOf(error)})`, { cause: error });
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOTFOUND') return 'Name or service not known';
  if (code === 'EAI_AGAIN') return 'Temporary failure in name resolution';
  return (error as Error).message;
}
