import { readFileSync } from 'node:fs';

export interface Vector {
  readonly id: string;
  readonly description: string;
  // The files mix many shapes; each test knows its own.
  readonly inputs: any;
  readonly expected: any;
}

export function vectors(file: string): Vector[] {
  return JSON.parse(readFileSync(new URL(`vectors/${file}.json`, import.meta.url), 'utf8')).vectors;
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
