/**
 * Gives ids for links, none of them twice: the first of so many in a row, which are all the caller's. Of one process, or one run whose links are gone
 * when it ends.
 */
export type LinkIds = (count?: number) => number;

/** From 1 on. */
export function linkIds(): LinkIds {
  let next = 1;
  return (count = 1) => {
    const first = next;
    next += count;
    return first;
  };
}
