import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import type { ReplayVerdict } from './replay-window.js';

/** What {@link RowCipher.seal} says when all went well; otherwise it gives a drop code. */
export const ROW_SEALED = -1;

/**
 * A key of a format that `AeadBackend` does not know: CBC with HMAC, no cipher. It works row by row, beside the backend's
 * vectors, so that AEAD packets pay nothing for its existence. It owns its packet ids and replay windows.
 */
export interface RowCipher {
  /** Gives a row with fate SEAL the next packet id, encrypts it in place, prepends its header and makes it TO_LINK. @returns ROW_SEALED or a drop code */
  seal(now: Instant, vector: PacketVector, row: number): number;
  /**
   * Verifies and decrypts a packet in place, with `prefixBytes` of opcode and peer id in front; on success its id is in the row's columns
   * and the row is the payload, possibly empty. False when it is too short, forged or damaged: then its bytes are worth nothing.
   */
  open(vector: PacketVector, row: number, prefixBytes: number): boolean;
  /** Whether the packet that was just opened is fresh; if so it is remembered. */
  accept(now: Instant, vector: PacketVector, row: number): ReplayVerdict;
  /** The signals that are due, as bits. */
  readonly due: number;
  /** Overwrites what was derived from the keys. The keys themselves are zeroed by whoever holds them. */
  retire(): void;
}
