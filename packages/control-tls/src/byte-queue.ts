/** Bytes that wait to be cut into messages. Chunks are held, not copied, until they are taken. */
export class ByteQueue {
  #chunks: Uint8Array[] = [];
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Adds `bytes` at the end. They belong to the queue from here on. */
  push(bytes: Uint8Array): void {
    if (bytes.length > 0) {
      this.#chunks.push(bytes);
      this.#length += bytes.length;
    }
  }

  /** Removes and returns the first bytes, as many as there are and `max` at most; a copy. */
  take(max: number): Uint8Array {
    const taken = new Uint8Array(Math.min(max, this.#length));
    let filled = 0;
    while (filled < taken.length) {
      const chunk = this.#chunks[0]!;
      const part = chunk.subarray(0, taken.length - filled);
      taken.set(part, filled);
      filled += part.length;
      if (part.length === chunk.length) {
        this.#chunks.shift();
      } else {
        this.#chunks[0] = chunk.subarray(part.length);
      }
    }
    this.#length -= taken.length;
    // One that was filled keeps room for more, and there is one for each peer.
    if (this.#length === 0) this.#chunks = [];
    return taken;
  }

  clear(): void {
    this.#chunks = [];
    this.#length = 0;
  }
}
