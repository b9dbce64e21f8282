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
  /** `--sndbuf`, in bytes; absent: {@link UDP_SEND_BUFFER_BYTES}. The system may grant less. */
  readonly sendBufferBytes?: number;
  /** `--rcvbuf`, in bytes; absent: {@link UDP_RECEIVE_BUFFER_BYTES}. The system may grant less. */
  readonly receiveBufferBytes?: number;
}

/** What may wait in a UDP socket to be sent: a TCP stream through the tunnel is not to lose packets on the machine that it comes from. */
export const UDP_SEND_BUFFER_BYTES: number = 4 * 1024 * 1024;
/**
 * What may wait in a UDP socket to be received: what Linux gives to anybody (`net.core.rmem_max`), nearly two milliseconds at a gigabit a second. A TCP stream through the tunnel
 * fills it whatever its size, and everybody else's packets wait behind it. A server does well to make it larger for many clients (`resizeBuffers`).
 */
export const UDP_RECEIVE_BUFFER_BYTES: number = 208 * 1024;
