/**
 * Why the data channel dropped a packet, by code: an index into the counters. The names are what a log or a metric shows.
 */
export const DATA_DROPS = [
  'unknown-peer',
  'not-data',
  'too-short',
  'no-key',
  'not-authentic',
  'id-zero',
  'id-seen',
  'id-too-old',
  'no-send-key',
  'ids-exhausted',
  'not-sealed',
  'bad-framing',
  'not-framed',
] as const;

export type DataDrop = (typeof DATA_DROPS)[number];

/** The row's slot is no peer of ours. */
export const DROP_UNKNOWN_PEER = 0;
/** Its opcode is not one of the data channel. */
export const DROP_NOT_DATA = 1;
/** Too short to be a data packet. */
export const DROP_TOO_SHORT = 2;
/** The peer has no key of that id. */
export const DROP_NO_KEY = 3;
/** The tag is wrong: forged, damaged, or sealed under another key. */
export const DROP_NOT_AUTHENTIC = 4;
/** Authentic, with the id 0. */
export const DROP_ID_ZERO = 5;
/** Authentic, and received before. */
export const DROP_ID_SEEN = 6;
/** Authentic, and behind the replay window. */
export const DROP_ID_TOO_OLD = 7;
/** To be sent, before there is a key to send with. */
export const DROP_NO_SEND_KEY = 8;
/** To be sent, and all packet ids of the key are used up. */
export const DROP_IDS_EXHAUSTED = 9;
/** To be sent, and the backend refused: too little headroom, or more segments than it can handle. */
export const DROP_NOT_SEALED = 10;

/** Authentic, but its fragment header or compression mark makes no sense, or its block no packet. */
export const DROP_BAD_FRAMING = 11;
/** To be sent, and there is no room for its framing or its fragments. */
export const DROP_NOT_FRAMED = 12;

/** Counters by drop code, as an object for people: only what happened. */
export function nameDrops(counts: Float64Array): Partial<Record<DataDrop, number>> {
  const named: Partial<Record<DataDrop, number>> = {};
  DATA_DROPS.forEach((name, code) => {
    if (counts[code] > 0) named[name] = counts[code];
  });
  return named;
}
