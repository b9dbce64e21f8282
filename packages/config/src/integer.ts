/** The largest value of OpenVPN's `int` options. */
export const MAX_INTEGER = 2_147_483_647;

/** The smallest value of OpenVPN's `int` options. */
export const MIN_INTEGER: number = -2_147_483_648;

/** A number, or the sentence that OpenVPN (2.7: atoi_constrained) prints about it. */
export type IntegerResult =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly reason: string };

/**
 * Parses a whole decimal number within a range. No hexadecimal, no suffix, no fraction. Never throws.
 *
 * @param name the option, with which the reason begins
 * @param min inclusive
 * @param max inclusive; {@link MAX_INTEGER} counts as "no upper limit" in the reason
 */
export function parseInteger(text: string, name: string, min: number, max: number): IntegerResult {
  const value = /^[+-]?\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  const limit = Math.max(max, MAX_INTEGER);
  if (Number.isNaN(value) || value > limit || value < MIN_INTEGER) {
    return { ok: false, reason: `${name}: Cannot parse '${text}' as integer` };
  }
  if (value < min || value > max) {
    const allowed = max === MAX_INTEGER ? `>= ${min}` : `between ${min} and ${max}`;
    return { ok: false, reason: `${name}: Must be an integer ${allowed}, not ${value}` };
  }
  return { ok: true, value: value === 0 ? 0 : value };
}

/** Whether a text is an integer of 32 bits; with `positive`, one that is not below zero. */
export function isInteger(text: string, positive: boolean): boolean {
  return parseInteger(text, '', positive ? 0 : MIN_INTEGER, MAX_INTEGER).ok;
}
