import { DataChannel } from '@openvpnd/data-channel';
import type { PacketVectorOptions } from '@openvpnd/memory';

/** The largest control packet that a peer may send (OpenVPN: TLS_CHANNEL_BUF_SIZE). */
const CONTROL_PACKET_BYTES = 2048;
/** What the data channel may add to an inner packet, with room for a compression framing and a fragment header. */
const DATA_OVERHEAD_BYTES = 128;

/** The shape of vectors for packets of a tunnel with this MTU, with the room that sealing needs around them. */
export function tunnelVector(tunMtu: number): Omit<PacketVectorOptions, 'capacity'> {
  return {
    headroom: DataChannel.needs.headroom,
    packetBytes: Math.max(CONTROL_PACKET_BYTES, tunMtu + DATA_OVERHEAD_BYTES),
    tailroom: DataChannel.needs.tailroom,
  };
}
