/** Why the external multiplexer drops a row. Each has a counter of its own. */
export const EXTERNAL_DROP_CODES = [
  /** No byte at all. */
  'empty',
  /** Too short for its opcode. */
  'short',
  /** No opcode that OpenVPN 2.4 … 2.8 sends to a peer that is in its right mind: 0, 12 … 31, and key method 1 (1, 2). */
  'opcode',
  /** Data from an address that belongs to no peer. */
  'unknown-source',
  /** P_DATA_V2 with a peer id that nobody has. */
  'unknown-peer',
  /** P_DATA_V2 with the id of a peer that uses another transport protocol. */
  'other-protocol',
  /** A peer's packet from an address that is not its own, where floating is off. */
  'other-address',
  /** A first packet that opens no session: wrong opcode, key id or length. */
  'no-opening',
  /** More first packets than one batch may punt. */
  'opening-limit',
  /** More control packets of one peer than one batch may punt. */
  'control-limit',
  /** A row for the link whose slot has no address. */
  'no-address',
] as const;

export type ExternalDropCode = (typeof EXTERNAL_DROP_CODES)[number];
