/**
 * Key material that does not print. It owns a copy of its bytes: zeroing the secret does not touch the source.
 */
export class Secret {
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = Uint8Array.from(bytes);
  }

  /** Length in bytes. */
  get length(): number {
    return this.#bytes.length;
  }

  /** The bytes themselves, borrowed: do not keep them past the secret's life. All zero after {@link zero}. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Overwrites the bytes. A secret that was zeroed stays readable, as zeros. */
  zero(): void {
    this.#bytes.fill(0);
  }

  toString(): string {
    return '[secret]';
  }

  toJSON(): string {
    return '[secret]';
  }
}
