/** Control packets, and other steps of control channels, that a server takes in one batch: at up to half a millisecond each they delay data by little. */
export const CONTROL_STEPS_PER_BATCH = 8;
/** What one client may have waiting: more than its send window. */
const MAX_WAITING_PER_CLIENT = 16;
/** What all may have waiting: at 2 KiB each 4 MiB. */
const MAX_WAITING = 2048;

/** A control packet and whose it is. */
export interface WaitingControl<Client> {
  readonly client: Client;
  readonly packet: Uint8Array;
}

/**
 * Control packets of clients that came in numbers, kept for later batches so that data goes first. The order is kept. What finds no room is
 * dropped: its sender repeats it.
 */
export class ControlBacklog<Client> {
  /** A ring: what was taken is not held. */
  readonly #ring: (WaitingControl<Client> | undefined)[] = [];
  /** Where the packet is that waits longest. */
  #first = 0;
  #count = 0;
  readonly #perClient: Map<Client, number> = new Map();
  #dropped = 0;

  /** Packets that found no room, since the start. */
  get dropped(): number {
    return this.#dropped;
  }

  get isEmpty(): boolean {
    return this.#count === 0;
  }

  /** Keeps a packet, which is the backlog's from now on. */
  add(client: Client, packet: Uint8Array): void {
    const ofClient = this.#perClient.get(client) ?? 0;
    if (ofClient === MAX_WAITING_PER_CLIENT || this.#count === MAX_WAITING) {
      this.#dropped += 1;
      return;
    }
    this.#perClient.set(client, ofClient + 1);
    this.#ring[(this.#first + this.#count) % MAX_WAITING] = { client, packet };
    this.#count += 1;
  }

  /** The packet that waits longest; the client may be gone. */
  take(): WaitingControl<Client> | undefined {
    const next = this.#ring[this.#first];
    if (next === undefined) return undefined;
    this.#ring[this.#first] = undefined;
    this.#first = (this.#first + 1) % MAX_WAITING;
    this.#count -= 1;
    const left = (this.#perClient.get(next.client) ?? 0) - 1;
    if (left > 0) this.#perClient.set(next.client, left);
    else this.#perClient.delete(next.client);
    return next;
  }
}
