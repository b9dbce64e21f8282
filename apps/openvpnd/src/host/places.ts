/** So many that may be at something at the same time; the others wait in a row. */
export class Places {
  readonly #waiting: (() => void)[] = [];
  #free: number;

  /** @param count 1 or more */
  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves when there is a place. Whoever entered leaves once. */
  async enter(): Promise<void> {
    if (this.#free === 0) {
      // Whoever leaves hands the place over: it is free for nobody else meanwhile.
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    } else {
      this.#free -= 1;
    }
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
