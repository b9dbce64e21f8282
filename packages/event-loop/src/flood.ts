import type { PacketVector } from '@openvpnd/memory';
import { type Instant, NEVER } from '@openvpnd/sans-io';

/**
 * The device is held off, so that packets gather, when each turn finds so many in it and takes them all, nothing else has its turn in between, and the next
 * packets are there at once. With fewer a turn costs no more than it is worth; more have gathered by themselves.
 */
export const HOLD_OFF_FROM_PACKETS = 8;
export const HOLD_OFF_BELOW_PACKETS = 128;
/** What is there within so many milliseconds of a turn's end is there at once. */
export const AT_ONCE_MS = 0.1;
/** How long the device is held off. A small packet in a flood of them waits so much longer; half of that gave half of the gain, twice as much little more. */
export const HOLD_OFF_MICROSECONDS = 100;

/** Whether a device brings a flood of small packets, as told by each of its turns and by those of others in between. */
export class Flood {
  #until: Instant = -NEVER;

  /** Whether packets that are there at this instant belong to it. */
  goesOnAt(now: Instant): boolean {
    return now <= this.#until;
  }

  /** A turn of the device that took all packets, {@link areManySmall many and small}, is over. */
  seenAt(now: Instant): void {
    this.#until = now + AT_ONCE_MS;
  }

  /** Another turn: of a link that had something to say, or of a device that brought anything else. */
  end(): void {
    this.#until = -NEVER;
  }
}

/** Whether they are as many packets, none of them a super-packet, as a flood brings of which more is to come. */
export function areManySmall({ count, segments }: PacketVector): boolean {
  if (count < HOLD_OFF_FROM_PACKETS || count >= HOLD_OFF_BELOW_PACKETS) return false;
  for (let row = 0; row < count; row += 1) if (segments[row] > 1) return false;
  return true;
}
