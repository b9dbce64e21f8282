import { DeadlineHeap, type Instant, NEVER } from '@openvpnd/sans-io';
import type { PeerSettings } from './peer-settings.js';
import { SIGNAL_INACTIVE, SIGNAL_PING_EXIT, SIGNAL_PING_RESTART, type SignalBoard } from './signals.js';

/**
 * The timers of all peers: ping, ping-restart and ping-exit, inactive. A packet only writes the time at which it passed; a
 * peer's deadline is worked out anew when the one that was noted comes, so that packets never touch the heap and an idle peer
 * costs one step for each of its intervals.
 *
 * OpenVPN: check_ping_send_dowork(), check_ping_restart_dowork(), check_inactivity_timeout_dowork().
 */
export class KeepAlive {
  /** When something was last sent to a peer, received from it (authentic), and when its payload last counted as activity. */
  readonly lastSent: Float64Array;
  readonly lastReceived: Float64Array;
  readonly lastActive: Float64Array;
  /** Payload since `lastActive`, and how much of it resets the timer. */
  readonly #activeBytes: Float64Array;
  readonly #activeMinimum: Float64Array;
  readonly #pingMs: Float64Array;
  readonly #silenceMs: Float64Array;
  readonly #silenceExits: Uint8Array;
  readonly #inactiveMs: Float64Array;
  readonly #heap: DeadlineHeap;

  constructor(maxPeers: number) {
    this.lastSent = new Float64Array(maxPeers);
    this.lastReceived = new Float64Array(maxPeers);
    this.lastActive = new Float64Array(maxPeers);
    this.#activeBytes = new Float64Array(maxPeers);
    this.#activeMinimum = new Float64Array(maxPeers);
    this.#pingMs = new Float64Array(maxPeers).fill(NEVER);
    this.#silenceMs = new Float64Array(maxPeers).fill(NEVER);
    this.#silenceExits = new Uint8Array(maxPeers);
    this.#inactiveMs = new Float64Array(maxPeers).fill(NEVER);
    this.#heap = new DeadlineHeap(maxPeers);
  }

  get nextTimeout(): Instant {
    return this.#heap.earliest;
  }

  /** Sets a peer's intervals and starts them all anew. */
  configure(slot: number, settings: PeerSettings, now: Instant): void {
    this.#pingMs[slot] = interval(settings.pingMs);
    this.#silenceMs[slot] = interval(settings.silence?.ms);
    this.#silenceExits[slot] = settings.silence?.signal === 'ping-exit' ? 1 : 0;
    this.#inactiveMs[slot] = interval(settings.inactive?.ms);
    this.#activeMinimum[slot] = settings.inactive?.bytes ?? 0;
    this.#activeBytes[slot] = 0;
    this.lastSent[slot] = now;
    this.lastReceived[slot] = now;
    this.lastActive[slot] = now;
    this.#heap.set(slot, this.#deadlineOf(slot));
  }

  forget(slot: number): void {
    this.#heap.set(slot, NEVER);
  }

  /** Payload passed, either way. */
  noteActivity(slot: number, bytes: number, now: Instant): void {
    const sum = this.#activeBytes[slot] + bytes;
    if (sum >= this.#activeMinimum[slot]) {
      this.#activeBytes[slot] = 0;
      this.lastActive[slot] = now;
    } else {
      this.#activeBytes[slot] = sum;
    }
  }

  /**
   * Handles the peers whose time has come.
   *
   * @param ping sends a keep-alive, or says false when it has no room: then the peer's turn comes again
   */
  handleTimeout(now: Instant, signals: SignalBoard, ping: (slot: number) => boolean): void {
    while (this.#heap.earliest <= now) {
      const slot = this.#heap.first;
      if (this.lastSent[slot] + this.#pingMs[slot] <= now) {
        if (!ping(slot)) return;
        this.lastSent[slot] = now;
      }
      if (this.lastReceived[slot] + this.#silenceMs[slot] <= now) {
        this.lastReceived[slot] = now;
        signals.raise(slot, this.#silenceExits[slot] === 1 ? SIGNAL_PING_EXIT : SIGNAL_PING_RESTART);
      }
      if (this.lastActive[slot] + this.#inactiveMs[slot] <= now) {
        this.lastActive[slot] = now;
        this.#activeBytes[slot] = 0;
        signals.raise(slot, SIGNAL_INACTIVE);
      }
      this.#heap.set(slot, this.#deadlineOf(slot));
    }
  }

  #deadlineOf(slot: number): Instant {
    return Math.min(
      this.lastSent[slot] + this.#pingMs[slot],
      this.lastReceived[slot] + this.#silenceMs[slot],
      this.lastActive[slot] + this.#inactiveMs[slot],
    );
  }
}

function interval(ms: number | undefined): number {
  return ms === undefined || ms <= 0 ? NEVER : ms;
}
