import type { PacketVector } from '@openvpnd/memory';

/** What a device calls when its readiness changes. The driver installs one watcher. */
export interface DeviceReadiness {
  /** There is something to read. Level-triggered: called again in a later turn while anything is left. */
  readable(): void;
  /** The device is gone: nothing more can be read or written. */
  failed(error: Error): void;
}

/** A virtual network device, tun or tap. OpenVPN: struct tuntap. */
export interface TunDevice {
  /** The name of the interface, `tun0`. */
  readonly name: string;
  /**
   * Appends packets that the system sent into the device as rows (fate INNER, no slot) until nothing is left or the vector is
   * full.
   *
   * @returns the number of rows that were added; 0 when nothing waits
   */
  readBatch(tx: PacketVector): number;
  /** Writes each row with fate TO_DEVICE and marks it DROPPED. What the device refuses is lost and counted. */
  writeBatch(rx: PacketVector): void;
  watch(readiness: DeviceReadiness): void;
  /**
   * Lets packets gather: blocks the thread for so many microseconds, somewhat longer, or less when a signal comes. For a reader to whom small packets come
   * so fast that the turns cost more than the packets do. Devices that block nobody, or that gather by themselves, do without.
   */
  holdOff?(microseconds: number): void;
  /** Stops reading until `resume`: back-pressure from a full link. */
  pause(): void;
  resume(): void;
  /** Idempotent. A device that is not persistent disappears with it. */
  close(): void;
}
