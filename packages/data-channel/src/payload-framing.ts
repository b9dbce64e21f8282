import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { CompressionFraming, type CompressionSetting } from './compression-framing.js';
import { FragmentAssembly, type FragmentOutcome } from './fragment-assembly.js';
import { Fragmenter } from './fragmenter.js';

export interface PayloadFramingOptions {
  readonly compression: CompressionSetting | undefined;
  readonly fragment: { readonly partBytes: number } | undefined;
  /** Random, 0 … 255. */
  readonly firstSequenceId: number;
}

/** What one peer's options put between payload and cipher: compression framing inside, fragments outside. Few tunnels have it. */
export class PayloadFraming {
  readonly #compression: CompressionFraming | undefined;
  readonly #fragmenter: Fragmenter | undefined;
  readonly #assembly: FragmentAssembly | undefined;

  constructor({ compression, fragment, firstSequenceId }: PayloadFramingOptions) {
    this.#compression = compression === undefined ? undefined : new CompressionFraming(compression);
    this.#fragmenter = fragment === undefined ? undefined : new Fragmenter(fragment.partBytes, firstSequenceId);
    this.#assembly = fragment === undefined ? undefined : new FragmentAssembly();
  }

  /**
   * Frames a row with fate SEAL; parts beyond the first are appended to `vector`, or to `overflow` when that is full. False when there is no
   * room.
   */
  seal(vector: PacketVector, row: number, overflow: PacketVector): boolean {
    if (this.#compression !== undefined && !this.#compression.frame(vector, row)) return false;
    if (this.#fragmenter === undefined) return true;
    return this.#fragmenter.cut(vector, row, vector) || this.#fragmenter.cut(vector, row, overflow);
  }

  /** Takes the framing off a decrypted row. */
  open(now: Instant, vector: PacketVector, row: number): FragmentOutcome {
    const outcome = this.#assembly?.take(now, vector, row) ?? 'payload';
    if (outcome !== 'payload' || this.#compression === undefined) return outcome;
    return this.#compression.unframe(vector, row) ? 'payload' : 'refused';
  }
}
