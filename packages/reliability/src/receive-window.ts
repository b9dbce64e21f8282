import { idAfter, idDistance, isBefore, type MessageId } from './message-id.js';

/**
 * What became of a message of the peer. `accepted` and `duplicate` are acknowledged; `out-of-window` is dropped
 * without an acknowledgement, so that the peer sends it again when there is room.
 */
export type Reception = 'accepted' | 'duplicate' | 'out-of-window';

/** Messages that arrived and wait for their turn. */
export class ReceiveWindow<M> {
  readonly #size: number;
  /** There while something waits. */
  #waiting: Map<MessageId, { readonly message: M }> | undefined;
  #nextId: MessageId;

  constructor(size: number, firstId: MessageId) {
    this.#size = size;
    this.#nextId = firstId;
  }

  put(id: MessageId, message: M): Reception {
    if (isBefore(id, this.#nextId) || this.#waiting?.has(id)) {
      return 'duplicate';
    }
    if (idDistance(this.#nextId, id) >= this.#size) {
      return 'out-of-window';
    }
    this.#waiting ??= new Map();
    this.#waiting.set(id, { message });
    return 'accepted';
  }

  get ready(): boolean {
    return this.#waiting?.has(this.#nextId) ?? false;
  }

  take(): M | undefined {
    const entry = this.#waiting?.get(this.#nextId);
    if (entry === undefined) {
      return undefined;
    }
    this.#waiting?.delete(this.#nextId);
    if (this.#waiting?.size === 0) this.#waiting = undefined;
    this.#nextId = idAfter(this.#nextId, 1);
    return entry.message;
  }

  clear(): void {
    this.#waiting = undefined;
  }
}
