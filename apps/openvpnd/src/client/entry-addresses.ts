import { isIP } from 'node:net';
import type { ConnectionEntry } from '@openvpnd/config';
import { type Endpoint, parseEndpoint } from '@openvpnd/external-mux';
import { interleaveFamilies } from '@openvpnd/tunnel-state';
import { type ResolvedAddress, ResolveError, resolveHost } from '../host/resolve.js';
import type { Run } from '../run.js';

/** Between two attempts to resolve a name. OpenVPN: fail_wait_interval of openvpn_getaddrinfo(). */
const RESOLVE_PAUSE_MS = 5000;
/** Random bytes in front of a name with --remote-random-hostname. OpenVPN: hostname_randomize(). */
const RANDOM_LABEL_BYTES = 6;

/** What came of resolving an entry. */
export type EntryAddresses =
  /**
   * `remotes` in the order of trying; none where the entry has no remote, or where it could not be resolved (`failed`). `locals`: the addresses of `local`, one or more; undefined: not bound to
   * any.
   */
  | {
      readonly type: 'found';
      readonly remotes: readonly Endpoint[];
      readonly locals: readonly ResolvedAddress[] | undefined;
    }
  | { readonly type: 'failed' }
  /** What `local` has cannot reach what `remote` has. `reason` for a sentence. */
  | { readonly type: 'unusable'; readonly reason: string };

/** Finds the addresses of connection entries, as often as is asked for them. */
export class EntryResolver {
  readonly #run: Run;
  /** With --persist-local-ip. */
  readonly #locals: Map<string, readonly ResolvedAddress[]> | undefined;
  /** Entries of which was told that some of their addresses are ignored. */
  readonly #warned: Set<ConnectionEntry> = new Set();

  constructor(run: Run) {
    this.#run = run;
    this.#locals = run.options.link.persistLocalIp ? new Map() : undefined;
  }

  /** @throws ResolveError when `local` cannot be resolved */
  async resolve(entry: ConnectionEntry): Promise<EntryAddresses> {
    const locals = await this.#resolveLocal(entry);
    const { proxy, remote } = entry;
    if (remote === undefined) return { type: 'found', remotes: [], locals };
    // Behind a proxy the name is the proxy's to resolve.
    const { host, port } = proxy ?? remote;
    const place = `${proxy === undefined ? '--remote' : `--${proxy.kind}-proxy`} ${host}`;
    const found = await this.#resolveRemote(entry, host);
    if (found.length === 0) return { type: 'failed' };
    const usable = found.filter(({ family }) => locals === undefined || locals.some((one) => one.family === family));
    const ignored = found.length - usable.length;
    if (locals !== undefined && ignored > 0) {
      const [own, other] = locals[0].family === 4 ? (['IPv4', 'IPv6'] as const) : (['IPv6', 'IPv4'] as const);
      if (usable.length === 0) {
        const reason = `--local ${entry.localHost} (${own}) cannot reach ${place} (${other} only)`;
        return { type: 'unusable', reason };
      }
      if (!this.#warned.has(entry)) {
        this.#warned.add(entry);
        this.#run.log.say(1, `WARNING: --local is ${own} only; ignoring ${ignored} ${other} address(es) of ${place}`);
      }
    }
    const remotes = usable.map(
      ({ family, address }): Endpoint => parseEndpoint(address, port) ?? { family, address, port },
    );
    return { type: 'found', remotes: entry.raceDelayMs === undefined ? remotes : interleaveFamilies(remotes), locals };
  }

  async #resolveLocal({ bind, localHost, protocol }: ConnectionEntry): Promise<readonly ResolvedAddress[] | undefined> {
    if (!bind || localHost === undefined) return undefined;
    const known = this.#locals?.get(localHost);
    if (known !== undefined) return known;
    const found = await resolveHost(localHost, protocol.family);
    this.#locals?.set(localHost, found);
    return found;
  }

  /** None when the name cannot be resolved in the time of --resolv-retry, or a signal came. */
  async #resolveRemote(entry: ConnectionEntry, host: string): Promise<readonly ResolvedAddress[]> {
    const { options, log, clock, inbox } = this.#run;
    const deadline = clock.now() + options.link.resolveRetrySeconds * 1000;
    for (;;) {
      try {
        return await resolveHost(this.#spell(host), entry.protocol.family);
      } catch (error) {
        if (!(error instanceof ResolveError)) throw error;
        log.say(1, error.message);
      }
      if (clock.now() + RESOLVE_PAUSE_MS > deadline) return [];
      await inbox.wait(RESOLVE_PAUSE_MS);
      if (inbox.pending !== undefined) return [];
    }
  }

  /** --remote-random-hostname: no cache on the way has the answer. */
  #spell(host: string): string {
    if (!this.#run.options.link.remoteRandomHostname || isIP(host) !== 0) return host;
    const label = new Uint8Array(RANDOM_LABEL_BYTES);
    this.#run.random.fill(label);
    return `${Buffer.from(label).toString('hex')}.${host}`;
  }
}
