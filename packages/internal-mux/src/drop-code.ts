/** Why the internal multiplexer drops an inner packet, or a copy of one. Each has a counter of its own. */
export const INTERNAL_DROP_CODES = [
  /** No whole IPv4 or IPv6 packet. */
  'malformed',
  /** From the device, for an address behind no peer. */
  'no-route',
  /** From a peer, with a source address that is not routed to it. */
  'source',
  /** From a peer, with a link-local or unspecified source: systems send those unasked, so it tells nothing. */
  'unrouted-source',
  /** From the device of a client, to its server by the tunnel's own transport: the system has routed the tunnel into itself. */
  'recursive',
  /** A copy of a packet for many that the vector had no room for. */
  'copy',
] as const;

export type InternalDropCode = (typeof INTERNAL_DROP_CODES)[number];
