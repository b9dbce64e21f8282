/** A queue with a bound. What was taken is not held. */
export class Ring<Item> {
  readonly #size: number;
  readonly #items: (Item | undefined)[] = [];
  #first = 0;
  count = 0;

  constructor(size: number) {
    this.#size = size;
  }

  /** False when it is full. */
  push(item: Item): boolean {
    if (this.count === this.#size) return false;
    this.#items[(this.#first + this.count) % this.#size] = item;
    this.count += 1;
    return true;
  }

  shift(): Item | undefined {
    const item = this.#items[this.#first];
    if (item === undefined) return undefined;
    this.#items[this.#first] = undefined;
    this.#first = (this.#first + 1) % this.#size;
    this.count -= 1;
    return item;
  }
}
