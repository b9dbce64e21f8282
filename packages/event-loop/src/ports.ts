import type { PacketVector } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';

/**
 * What the loop drives: a whole client or server without any I/O. OpenVPN: tunnel_point_to_point(), tunnel_server().
 * Batch methods edit the vector in place; the loop then writes the rows TO_DEVICE and sends the rows TO_LINK. Each
 * method returns actions for the host, most often the same empty array.
 */
export interface Tunnel<Action> {
  /** Packets that came from a link, fate RAW. */
  handleLinkBatch(now: Instant, rx: PacketVector): readonly Action[];
  /** Packets that came from the device, fate INNER. */
  handleDeviceBatch(now: Instant, tx: PacketVector): readonly Action[];
  /** The instant promised by `nextTimeout` has come, or something asked for a turn (`EventLoop.wake`). Rows that it wants to send are appended to `out`. */
  handleTimeout(now: Instant, out: PacketVector): readonly Action[];
  /** When `handleTimeout` wants to be called next; NEVER when idle. */
  nextTimeout(): Instant;
}

/** The one clock and the one timer of the process. */
export interface Clock {
  now(): Instant;
  /** Calls `fire` once at or after `at`; replaces what was armed before. NEVER disarms. */
  arm(at: Instant, fire: () => void): void;
  /** Calls `fire` soon, in a turn of its own; several calls before it fires are one. */
  soon(fire: () => void): void;
}
