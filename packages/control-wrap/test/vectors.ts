import { readFileSync } from 'node:fs';

export interface Vector {
  readonly id: string;
  // The files mix many shapes; each test knows its own.
  readonly inputs: any;
  readonly expected: any;
}

/** The vectors of a file as rows for test.each: the id and the vector. */
export function vectors(file: string): [string, Vector][] {
  const { vectors } = JSON.parse(readFileSync(new URL(`vectors/${file}.json`, import.meta.url), 'utf8'));
  return vectors.map((vector: Vector) => [vector.id, vector]);
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The value of an accepted input; fails the test on a refusal. */
export function value<T>(result: { ok: true; value: T } | { ok: false; reason: string }): T {
  if (!result.ok) throw new Error(`refused: ${result.reason}`);
  return result.value;
}
