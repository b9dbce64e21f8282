/** The free entries of a pool in the order of their release, the longest free first. Any of them can be taken out at once. */
export class FreeList {
  /** Entries in the list. */
  size = 0;
  readonly #next: Int32Array<ArrayBuffer>;
  readonly #previous: Int32Array<ArrayBuffer>;
  readonly #end: number;

  /** Begins with all entries, 0 … count - 1, in that order. */
  constructor(count: number) {
    // A ring whose last element is its beginning and end.
    this.#end = count;
    this.#next = new Int32Array(count + 1);
    this.#previous = new Int32Array(count + 1);
    this.#next[count] = count;
    this.#previous[count] = count;
    for (let entry = 0; entry < count; entry += 1) this.push(entry);
  }

  /** The entry that has been free longest; undefined when none is. */
  get first(): number | undefined {
    const first = this.#next[this.#end];
    return first === this.#end ? undefined : first;
  }

  /** Appends an entry that is not in the list. */
  push(entry: number): void {
    const last = this.#previous[this.#end];
    this.#next[last] = entry;
    this.#previous[entry] = last;
    this.#next[entry] = this.#end;
    this.#previous[this.#end] = entry;
    this.size += 1;
  }

  /** Takes out an entry that is in the list. */
  remove(entry: number): void {
    this.#next[this.#previous[entry]] = this.#next[entry];
    this.#previous[this.#next[entry]] = this.#previous[entry];
    this.size -= 1;
  }
}
