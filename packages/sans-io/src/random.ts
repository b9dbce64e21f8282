/** A source of random bytes, injected by whoever composes: the system's in production, a seeded one in tests. */
export interface Random {
  /** Overwrites every byte of `target`. Never fails: a source that cannot deliver must end the process itself. */
  fill(target: Uint8Array): void;
}
