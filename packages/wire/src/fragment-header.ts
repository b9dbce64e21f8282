/** Bytes of the fragment header: a big-endian u32 in front of the (compressed) payload. */
export const FRAGMENT_HEADER_BYTES = 4;
/** A packet that is whole. */
export const FRAGMENT_WHOLE = 0;
/** A fragment that others follow. */
export const FRAGMENT_NOT_LAST = 1;
/** The last fragment, which tells the size of the others. */
export const FRAGMENT_LAST = 2;
/** Reserved for tests; nobody sends it. */
export const FRAGMENT_TEST = 3;
/** Most fragments of one packet: the number has five bits. */
export const MAX_FRAGMENTS = 32;
/** Sequence ids run 0 … 255 and wrap. */
export const FRAGMENT_SEQUENCE_IDS = 256;
/** Largest size of a fragment that is not the last, a multiple of four. */
export const MAX_FRAGMENT_BYTES: number = 0x3fff << 2;

/**
 * A fragment header as an unsigned number: bits 0–1 type, 2–9 sequence id, 10–14 number of the fragment, 15–28 size of
 * the others ÷ 4 (in the last fragment only). OpenVPN: fragment.h.
 *
 * @param size of every fragment but the last, a multiple of four up to {@link MAX_FRAGMENT_BYTES}; 0 except in the last
 */
export function fragmentHeader(type: number, sequenceId: number, number: number, size: number): number {
  return ((type & 3) | ((sequenceId & 0xff) << 2) | ((number & 0x1f) << 10) | (((size >> 2) & 0x3fff) << 15)) >>> 0;
}

/** One of the four types. */
export function fragmentType(header: number): number {
  return header & 3;
}

/** 0 … 255. */
export function fragmentSequenceId(header: number): number {
  return (header >>> 2) & 0xff;
}

/** 0 … 31. */
export function fragmentNumber(header: number): number {
  return (header >>> 10) & 0x1f;
}

/** Bytes of every fragment but the last. Means something in the last one only. */
export function fragmentSize(header: number): number {
  return ((header >>> 15) & 0x3fff) << 2;
}
