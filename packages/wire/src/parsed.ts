/**
 * What a parser of foreign bytes answers: the value, or one line that tells why the bytes are refused. Hostile input is
 * never thrown.
 */
export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly reason: string };

/** The answer that carries a value. */
export function accepted<T>(value: T): Parsed<T> {
  return { ok: true, value };
}

/** The answer that carries a reason: one line, lower case, no bytes of the input. */
export function refused(reason: string): { readonly ok: false; readonly reason: string } {
  return { ok: false, reason };
}
