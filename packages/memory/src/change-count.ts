/**
 * Counts the changes of what packets are decided by: addresses of peers, routes. Whoever repeats a decision without asking again, as native code does for packets that
 * come alone, keeps the count that stood when it was made and asks again when that has moved. One word in shared memory, so that it is seen at once.
 */
export class ChangeCount {
  /** The count, modulo 2^32. */
  readonly word: Uint32Array = new Uint32Array(new SharedArrayBuffer(Uint32Array.BYTES_PER_ELEMENT));

  /** Something has changed. */
  bump(): void {
    this.word[0] += 1;
  }
}
