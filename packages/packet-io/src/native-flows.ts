import type { AeadKeyHandle, FlowOffload, FlowPacket } from '@openvpnd/data-channel';
import type { ChangeCount, PacketVector } from '@openvpnd/memory';
import { nativeAddon } from './native-addon.js';
import { registeredVector } from './registered-vector.js';

/** Numbers of a packet in the log, behind a count: enum pio_log in native/flow.c. */
const LOG_WIDTH = 6;
const LOG_PACKETS = 256;

/**
 * Flows between the native device and the native UDP links of this process: packets that come alone are opened and written, or sealed and sent, right where libuv says that
 * there is something to read. For keys of {@link nativeBackend}. A process has one: another takes its place, and all flows end.
 *
 * The times of the log are those of `performance.now()`, as of event-loop's clock.
 *
 * @param changes counts what the multiplexers decide by: when it moves, all flows end
 * @throws Error with code ERR_PACKET_IO_MISSING when the addon is not available
 */
export function nativeFlows(changes: ChangeCount): FlowOffload {
  const { flowSetUp, flowReceive, flowNote, flowSend, flowRevoke } = nativeAddon();
  const log = new Float64Array(new SharedArrayBuffer((1 + LOG_PACKETS * LOG_WIDTH) * Float64Array.BYTES_PER_ELEMENT));
  flowSetUp(log, changes.word);
  // The addon reads the clock that both begin at a different time.
  const epoch = Number(process.hrtime.bigint()) / 1e6 - performance.now();
  return {
    receive(vector: PacketVector, key: AeadKeyHandle, flow: number, packets: number): number {
      const { packetIdHigh, packetIdLow } = vector;
      return flowReceive(registeredVector(vector), key, flow, packetIdHigh[0], packetIdLow[0], packets);
    },
    note(vector: PacketVector): boolean {
      return flowNote(registeredVector(vector));
    },
    send(
      vector: PacketVector,
      key: AeadKeyHandle,
      flow: number,
      idHigh: number,
      idLow: number,
      packets: number,
    ): number {
      return flowSend(registeredVector(vector), key, flow, idHigh, idLow, packets);
    },
    revoke(place: number, flow: number): number {
      return flowRevoke(place, flow);
    },
    drain(tell: FlowPacket): void {
      const packets = log[0];
      if (packets === 0) return;
      for (let index = 0; index < packets; index++) {
        const at = 1 + index * LOG_WIDTH;
        tell(log[at], log[at + 1], log[at + 2], log[at + 3], log[at + 4], log[at + 5] - epoch);
      }
      log[0] = 0;
    },
  };
}
