/**
 * A point in time: milliseconds on a monotonic clock whose zero is arbitrary. Fractions are allowed. Instants of
 * different clocks do not compare. A deadline is an instant too.
 */
export type Instant = number;

/** The deadline of a machine that waits for nothing. */
export const NEVER: Instant = Number.POSITIVE_INFINITY;

/** The earlier of two deadlines: how a parent combines what its children wait for. */
export function earliest(a: Instant, b: Instant): Instant {
  return a < b ? a : b;
}
