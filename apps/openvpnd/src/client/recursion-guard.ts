import { endpointOf, formatLinkAddress } from '@openvpnd/external-mux';
import { type InternalMux, OuterTransport, parseInnerAddress } from '@openvpnd/internal-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { Log } from '@openvpnd/sans-io';

/** Keeps the tunnel's own packets out of the tunnel, and tells of it: without `--allow-recursive-routing`. OpenVPN: drop_if_recursive_routing(). */
export class RecursionGuard {
  readonly #internalMux: InternalMux;
  readonly #log: Log | undefined;
  #told = 0;
  #to = '';

  constructor(internalMux: InternalMux, log: Log | undefined) {
    this.#internalMux = internalMux;
    this.#log = log;
  }

  /** The peer is there now, on that transport. */
  watch(peer: LinkAddress | undefined, protocol: 'udp' | 'tcp'): void {
    const endpoint = peer && endpointOf(peer);
    const address = endpoint && parseInnerAddress(endpoint.address);
    this.#internalMux.guard(endpoint && address && new OuterTransport({ address, protocol, port: endpoint.port }));
    this.#to = peer === undefined ? '' : formatLinkAddress(peer);
  }

  /** Tells whether some were dropped since it was asked last. */
  report(): void {
    const dropped = this.#internalMux.dropCount('recursive');
    if (dropped === this.#told) return;
    this.#told = dropped;
    this.#log?.warn('client.recursive-routing', { to: this.#to });
  }
}
