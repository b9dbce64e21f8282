import type { Endpoint } from './endpoint.js';

/** What an adapter needs to open a UDP link. The same for each adapter, so that one stands for another. */
export interface UdpLinkOptions {
  /** Unique among the open links of the process. */
  readonly id: number;
  /** Where to bind; port 0 takes one that is free. `::` takes IPv4 too, unless `ipv6Only`. Absent: every address of both families, or of `family`. */
  readonly local?: Endpoint;
  /** The port to bind when `local` is absent; 0 or absent: one that is free (`--nobind`). */
  readonly port?: number;
  /** Only this family, when `local` is absent. */
  readonly family?: 4 | 6;
  /** `--bind ipv6only`. */
  readonly ipv6Only?: boolean;
  /** `--sndbuf`, in bytes; absent: the adapter's choice. */
  readonly sendBufferBytes?: number;
  /** `--rcvbuf`, in bytes; absent: the adapter's choice. */
  readonly receiveBufferBytes?: number;
}
