import type { ConnectionEntry } from '@openvpnd/config';
import type { Endpoint, LinkFactory, LinkSocket } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { ResolvedAddress } from '../host/resolve.js';
import type { SignalInfo } from '../host/signals.js';

/** What a client opens. */
export interface ClientLinkRequest {
  readonly entry: ConnectionEntry;
  readonly factory: LinkFactory;
  /**
   * The addresses to try, in their order; none: any peer may come. Datagrams: one, or one of each family. At the listening end of a stream: those that may connect.
   */
  readonly remotes: readonly Endpoint[];
  /** The addresses of `local`; undefined: none is given. */
  readonly locals: readonly ResolvedAddress[] | undefined;
  /** Streams: how long an address of the other family waits for the first; NEVER: for its failure. */
  readonly raceDelayMs: number;
  /** Streams: this address is tried now, or has won. */
  readonly tried: (remote: Endpoint) => void;
}

/** The links of a client, and where its peer is or may be through them; or the signal that ends the attempt. */
export type ClientLinks =
  | { readonly ok: true; readonly links: readonly LinkSocket[]; readonly addresses: readonly LinkAddress[] }
  | { readonly ok: false; readonly info: SignalInfo };
