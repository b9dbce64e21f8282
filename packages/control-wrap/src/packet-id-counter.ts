import { LONG_PACKET_ID_BYTES } from '@openvpnd/wire';

const LAST_PACKET_ID = 0xffff_ffff;

/**
 * Gives the long packet ids of a session: a number that counts up and the time of the first packet, which stays the same.
 * OpenVPN: packet_id_send_update().
 */
export class PacketIdCounter {
  #id: number;
  #unixSeconds: number;

  /** @param firstId 1 … 2^32 − 1 */
  constructor(unixSeconds: number, firstId: number) {
    this.#id = firstId - 1;
    this.#unixSeconds = Math.trunc(unixSeconds) >>> 0;
  }

  /** Writes the next id: u32 id, u32 time. */
  writeNext(target: Uint8Array, offset: number): void {
    if (this.#id === LAST_PACKET_ID) {
      // A receiver takes any id of a newer time; ours has certainly passed since the first of four billion packets.
      this.#id = 0;
      this.#unixSeconds = (this.#unixSeconds + 1) >>> 0;
    }
    this.#id++;
    const view = new DataView(target.buffer, target.byteOffset + offset, LONG_PACKET_ID_BYTES);
    view.setUint32(0, this.#id);
    view.setUint32(4, this.#unixSeconds);
  }
}
