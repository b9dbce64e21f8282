/**
 * Ends an exhaustive switch: the compiler refuses the call while a case is missing.
 *
 * @throws TypeError when a value outside the union arrives at run time, which is a bug of ours.
 */
export function assertNever(value: never): never {
  throw new TypeError(`unexpected variant: ${JSON.stringify(value)}`);
}
