/** Message ids are unsigned 32 bit numbers that wrap; comparisons are modulo 2^32. */
export type MessageId = number;

/** The id `count` steps after `id`. `count` may be negative. */
export function idAfter(id: MessageId, count: number): MessageId {
  return (id + count) >>> 0;
}

/** How many steps lead from `from` up to `to`: 0 … 2^32 − 1. A `to` that lies behind gives a number above 2^31. */
export function idDistance(from: MessageId, to: MessageId): number {
  return (to - from) >>> 0;
}

/** Whether `a` lies before `b`, looking half the number circle each way. */
export function isBefore(a: MessageId, b: MessageId): boolean {
  return a !== b && idDistance(a, b) < 0x8000_0000;
}
