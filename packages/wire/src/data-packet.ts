/** Bytes in front of a P_DATA_V1 payload: the opcode. */
export const DATA_V1_HEADER_BYTES = 1;
/** Bytes in front of a P_DATA_V2 payload: the opcode and the peer id. */
export const DATA_V2_HEADER_BYTES = 4;
/** The peer id that stands for none: the sender is looked up by its address. */
export const PEER_ID_UNDEFINED = 0xff_ffff;
/** Short packet id, as AEAD and CBC data packets of a TLS session carry it. */
export const SHORT_PACKET_ID_BYTES = 4;
/** Long packet id: u32 id and u32 Unix seconds, as the control channel and static keys carry it. */
export const LONG_PACKET_ID_BYTES = 8;
/** Epoch (u16) and counter (48 bits) of an epoch data packet. */
export const EPOCH_PACKET_ID_BYTES = 8;
/** Authentication tag of every AEAD cipher here. */
export const AEAD_TAG_BYTES = 16;
/** Shortest P_DATA_V1 packet with an AEAD cipher. */
export const MIN_AEAD_V1_BYTES: number = DATA_V1_HEADER_BYTES + SHORT_PACKET_ID_BYTES + AEAD_TAG_BYTES + 1;
/** Shortest P_DATA_V2 packet with an AEAD cipher. */
export const MIN_AEAD_V2_BYTES: number = DATA_V2_HEADER_BYTES + SHORT_PACKET_ID_BYTES + AEAD_TAG_BYTES + 1;
/** Shortest epoch data packet. */
export const MIN_EPOCH_BYTES: number = DATA_V2_HEADER_BYTES + EPOCH_PACKET_ID_BYTES + AEAD_TAG_BYTES + 1;

/** The peer id of the P_DATA_V2 packet that starts at `offset`. The caller has checked that four bytes are there. */
export function peerIdAt(bytes: Uint8Array, offset: number): number {
  return (bytes[offset + 1]! << 16) | (bytes[offset + 2]! << 8) | bytes[offset + 3]!;
}
