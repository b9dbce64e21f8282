/**
 * A copy of part of an array, always a plain Uint8Array. The array's own `slice` is no such thing: what Node gives is
 * often a Buffer, and a Buffer's slice is a view.
 */
export function copyOf(bytes: Uint8Array, start = 0, end: number = bytes.length): Uint8Array {
  return Uint8Array.from(bytes.subarray(start, end));
}
