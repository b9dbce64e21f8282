import { Ring } from './ring.js';

/** Control packets, and other steps of control channels of each kind, that a server takes in one batch: at up to half a millisecond each they delay data by little. */
export const CONTROL_STEPS_PER_BATCH = 2;
/** What one client may have waiting: more than its send window. */
const MAX_WAITING_PER_CLIENT = 16;
/** What all of a kind may have waiting: at 2 KiB each 4 MiB. */
const MAX_WAITING = 2048;

/** Whose packets wait together: those of clients that are connected, which renegotiate, and those of clients that come. */
export type ControlKind = 'connected' | 'coming';

/** A control packet and whose it is. */
export interface WaitingControl<Client> {
  readonly client: Client;
  readonly packet: Uint8Array;
}

/**
 * Control packets of clients that came in numbers, kept for later batches so that data goes first. The two kinds have room of their own and take turns, so that strangers,
 * however many begin a handshake, leave half of the work to those who are connected; among each the order is kept. What finds no room is dropped: its sender repeats it.
 */
export class ControlBacklog<Client> {
  readonly #rows: Readonly<Record<ControlKind, Ring<WaitingControl<Client>>>> = {
    connected: new Ring(MAX_WAITING),
    coming: new Ring(MAX_WAITING),
  };
  #next: ControlKind = 'connected';
  readonly #perClient: Map<Client, number> = new Map();
  #dropped = 0;

  /** Packets that found no room, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  get isEmpty(): boolean {
    return !this.holds('connected') && !this.holds('coming');
  }

  /** Whether a packet of that kind waits. */
  holds(kind: ControlKind): boolean {
    return this.#rows[kind].count > 0;
  }

  /** Keeps a packet, which is the backlog's from now on. */
  add(client: Client, packet: Uint8Array, kind: ControlKind): void {
    const ofClient = this.#perClient.get(client) ?? 0;
    if (ofClient === MAX_WAITING_PER_CLIENT || !this.#rows[kind].push({ client, packet })) {
      this.#dropped += 1;
      return;
    }
    this.#perClient.set(client, ofClient + 1);
  }

  /** The packet that waits longest of the kind whose turn it is; the client may be gone. */
  take(): WaitingControl<Client> | undefined {
    const kind = this.#next;
    const other = kind === 'connected' ? 'coming' : 'connected';
    this.#next = other;
    const taken = this.#rows[kind].shift() ?? this.#rows[other].shift();
    if (taken === undefined) return undefined;
    const left = (this.#perClient.get(taken.client) ?? 0) - 1;
    if (left > 0) this.#perClient.set(taken.client, left);
    else this.#perClient.delete(taken.client);
    return taken;
  }
}
