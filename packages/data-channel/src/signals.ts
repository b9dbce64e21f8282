import type { OccMessage } from '@openvpnd/wire';

/** Why a key is to be replaced. */
export type RenegotiateReason = 'packet-id' | 'bytes' | 'packets' | 'aead-limit' | 'failures';

/**
 * Packets of a peer were refused as forged or as replays. Said once a second for a peer at most, and a limited number of times a second for
 * all of them: whoever floods us with such packets must not fill the log.
 */
export interface RefusalSignal {
  readonly type: 'refused';
  readonly slot: number;
  readonly reason: 'not-authentic' | 'replay';
  /** Whether the key is of an AEAD cipher. */
  readonly aead: boolean;
  /** Of the packet that is told of; 0 when it is not authentic. */
  readonly packetId: number;
  /** The sender's time beside it, in Unix seconds: static keys. */
  readonly packetTime: number;
  /** How many were refused since the last such signal of this peer, this one included. */
  readonly packets: number;
}

/** What the data channel wants to be done above it. */
export type DataSignal =
  /** The key in use comes to a limit. Said once for a key. */
  | { readonly type: 'renegotiate'; readonly slot: number; readonly reason: RenegotiateReason }
  /** Nothing authentic was received for the time of `--ping-restart` or `--ping-exit`. Said again after as long. */
  | { readonly type: 'ping-restart' | 'ping-exit'; readonly slot: number }
  /** Too little payload passed in the time of `--inactive`. Said again after as long. */
  | { readonly type: 'inactive'; readonly slot: number }
  /** The first packet was opened under this key: the peer can use it. */
  | { readonly type: 'key-in-use'; readonly slot: number; readonly keyId: number }
  | RefusalSignal
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

/** The key ids have a bit each above those. */
const SIGNAL_KEY_IN_USE = 0x100;
const KEY_IDS = 8;

/** OCC messages are few; a peer that sends more between two turns loses them. */
const MAX_OCC_MESSAGES = 64;

const NONE: readonly DataSignal[] = [];

/** Signals that wait to be taken: a set of bits for each peer, so that raising one twice says it once and allocates nothing. */
export class SignalBoard {
  readonly #bits: Uint16Array;
  readonly #raised: Int32Array;
  #raisedCount = 0;
  /** OCC messages and refusals. */
  #others: DataSignal[] = [];

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

  raiseKeyInUse(slot: number, keyId: number): void {
    this.raise(slot, SIGNAL_KEY_IN_USE << keyId);
  }

  raiseOcc(slot: number, message: OccMessage): void {
    if (this.#others.length < MAX_OCC_MESSAGES) this.#others.push({ type: 'occ', slot, message });
  }

  /** The caller has limited their number. */
  raiseRefusal(signal: RefusalSignal): void {
    this.#others.push(signal);
  }

  /** Forgets what was raised for a peer that is gone. */
  clear(slot: number): void {
    if (this.#bits[slot] !== 0) {
      this.#bits[slot] = 0;
      this.#raisedCount -= 1;
      const place = this.#raised.indexOf(slot);
      this.#raised[place] = this.#raised[this.#raisedCount];
    }
    if (this.#others.length > 0) this.#others = this.#others.filter((signal) => signal.slot !== slot);
  }

  take(): readonly DataSignal[] {
    if (this.#raisedCount === 0 && this.#others.length === 0) return NONE;
    const signals = this.#others;
    this.#others = [];
    for (let index = 0; index < this.#raisedCount; index++) {
      const slot = this.#raised[index];
      const bits = this.#bits[slot];
      this.#bits[slot] = 0;
      RENEGOTIATE_REASONS.forEach((reason, bit) => {
        if ((bits & (1 << bit)) !== 0) signals.push({ type: 'renegotiate', slot, reason });
      });
      for (let keyId = 0; keyId < KEY_IDS; keyId++) {
        if ((bits & (SIGNAL_KEY_IN_USE << keyId)) !== 0) signals.push({ type: 'key-in-use', slot, keyId });
      }
      OTHERS.forEach((type, bit) => {
        if ((bits & (1 << (bit + RENEGOTIATE_REASONS.length))) !== 0) signals.push({ type, slot });
      });
    }
    this.#raisedCount = 0;
    return signals;
  }
}
