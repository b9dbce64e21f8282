import type { OccMessage } from '@openvpnd/wire';

/** Why a key is to be replaced. */
export type RenegotiateReason = 'packet-id' | 'bytes' | 'packets' | 'aead-limit' | 'failures';

/** What the data channel wants to be done above it. */
export type DataSignal =
  /** The key in use comes to a limit. Said once for a key. */
  | { readonly type: 'renegotiate'; readonly slot: number; readonly reason: RenegotiateReason }
  /** Nothing authentic was received for the time of `--ping-restart` or `--ping-exit`. Said again after as long. */
  | { readonly type: 'ping-restart' | 'ping-exit'; readonly slot: number }
  /** Too little payload passed in the time of `--inactive`. Said again after as long. */
  | { readonly type: 'inactive'; readonly slot: number }
  /** The peer sent a message of the options consistency check: EXIT of `--explicit-exit-notify`, or a question to answer. */
  | { readonly type: 'occ'; readonly slot: number; readonly message: OccMessage };

const RENEGOTIATE_REASONS: readonly RenegotiateReason[] = ['packet-id', 'bytes', 'packets', 'aead-limit', 'failures'];
const OTHERS = ['ping-restart', 'ping-exit', 'inactive'] as const;

/** A signal without content is a bit. */
export const SIGNAL_PACKET_ID = 0x01;
export const SIGNAL_BYTES = 0x02;
export const SIGNAL_PACKETS = 0x04;
export const SIGNAL_AEAD_LIMIT = 0x08;
export const SIGNAL_FAILURES = 0x10;
export const SIGNAL_PING_RESTART = 0x20;
export const SIGNAL_PING_EXIT = 0x40;
export const SIGNAL_INACTIVE = 0x80;

/** OCC messages are few; a peer that sends more between two turns loses them. */
const MAX_OCC_MESSAGES = 64;

const NONE: readonly DataSignal[] = [];

/** Signals that wait to be taken: a set of bits for each peer, so that raising one twice says it once and allocates nothing. */
export class SignalBoard {
  readonly #bits: Uint16Array;
  readonly #raised: Int32Array;
  #raisedCount = 0;
  #occ: DataSignal[] = [];

  constructor(maxPeers: number) {
    this.#bits = new Uint16Array(maxPeers);
    this.#raised = new Int32Array(maxPeers);
  }

  raise(slot: number, bit: number): void {
    if (this.#bits[slot] === 0) {
      this.#raised[this.#raisedCount] = slot;
      this.#raisedCount += 1;
    }
    this.#bits[slot] |= bit;
  }

  raiseOcc(slot: number, message: OccMessage): void {
    if (this.#occ.length < MAX_OCC_MESSAGES) this.#occ.push({ type: 'occ', slot, message });
  }

  /** Forgets what was raised for a peer that is gone. */
  clear(slot: number): void {
    if (this.#bits[slot] !== 0) {
      this.#bits[slot] = 0;
      this.#raisedCount -= 1;
      const place = this.#raised.indexOf(slot);
      this.#raised[place] = this.#raised[this.#raisedCount];
    }
    if (this.#occ.length > 0) this.#occ = this.#occ.filter((signal) => signal.slot !== slot);
  }

  take(): readonly DataSignal[] {
    if (this.#raisedCount === 0 && this.#occ.length === 0) return NONE;
    const signals = this.#occ;
    this.#occ = [];
    for (let index = 0; index < this.#raisedCount; index++) {
      const slot = this.#raised[index];
      const bits = this.#bits[slot];
      this.#bits[slot] = 0;
      RENEGOTIATE_REASONS.forEach((reason, bit) => {
        if ((bits & (1 << bit)) !== 0) signals.push({ type: 'renegotiate', slot, reason });
      });
      OTHERS.forEach((type, bit) => {
        if ((bits & (1 << (bit + RENEGOTIATE_REASONS.length))) !== 0) signals.push({ type, slot });
      });
    }
    this.#raisedCount = 0;
    return signals;
  }
}
