/**
 * What is to become of a row of a packet vector. Each stage acts on the rows that carry its fate and gives them the
 * next one:
 *
 * ```
 * link:    RAW → PUNT | OPEN → INNER → TO_DEVICE | SEAL → TO_LINK      (a second SEAL: from client to client)
 * device:  INNER → SEAL → TO_LINK
 * ```
 *
 * Any stage may turn a row into DROPPED and counts why.
 */
export type Fate = number;

/** Nothing more happens to this row. */
export const FATE_DROPPED = 0;
/** As it came from a link: nobody has looked at it. */
export const FATE_RAW = 1;
/** A control packet: the tunnel copies it out of the vector and handles it alone. */
export const FATE_PUNT = 2;
/** A data packet of the peer in `slot`, still sealed. */
export const FATE_OPEN = 3;
/** A plain inner packet: `slot` is its sender, or NO_SLOT when it came from the device. */
export const FATE_INNER = 4;
/** A plain inner packet for the peer in `slot`, to be sealed. */
export const FATE_SEAL = 5;
/** A sealed packet, ready to leave through a link. */
export const FATE_TO_LINK = 6;
/** A plain inner packet, ready to be written to the device. */
export const FATE_TO_DEVICE = 7;
/**
 * An authentic and fresh packet of the peer in `slot` that a stage has used up (a ping): it goes nowhere, but unlike a dropped row it proves that
 * the peer is where the packet came from.
 */
export const FATE_CONSUMED = 8;
