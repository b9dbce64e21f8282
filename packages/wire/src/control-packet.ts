import { copyOf } from './copy-of.js';
import { firstByte, isControlOpcode, isDataOpcode, keyIdOf, opcodeOf, P_ACK_V1 } from './opcode.js';
import { accepted, type Parsed, refused } from './parsed.js';
import { SESSION_ID_BYTES } from './session-id.js';

/** Most acknowledgements that a control packet may list. OpenVPN: RELIABLE_ACK_SIZE. */
export const MAX_ACKS = 8;
/** Most acknowledgements that OpenVPN adds to a packet other than P_ACK_V1. OpenVPN: CONTROL_SEND_ACK_MAX. */
export const MAX_PIGGYBACKED_ACKS = 4;
/** Opcode and session id: what stands before the acknowledgements, and what every wrapping leaves in clear. */
export const CONTROL_HEADER_BYTES: number = 1 + SESSION_ID_BYTES;
/** Largest control packet that a receiver must take. OpenVPN: TLS_CHANNEL_BUF_SIZE. */
export const MAX_CONTROL_PACKET_BYTES = 2048;

/**
 * A control packet without its wrapping.
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 1 | opcode << 3 \| key id |
 * | 1 | 8 | session id of the sender |
 * | 9 | 1 | count n of acknowledgements, 0 … 8 |
 * | 10 | 4n | acknowledged message ids |
 * | 10+4n | 8 | session id of the receiver, only when n > 0 |
 * | … | 4 | message id, absent in P_ACK_V1 |
 * | … | … | payload |
 *
 * OpenVPN: reliable_ack_parse(), write_control_auth().
 */
export interface ControlPacket {
  /** A control opcode, 3 … 11 without the data opcodes. */
  readonly opcode: number;
  /** 0 … 7. */
  readonly keyId: number;
  /** Of the sender, 8 bytes. The parser does not judge it: zero is for the caller to refuse. */
  readonly sessionId: Uint8Array;
  /** Acknowledged message ids, at most {@link MAX_ACKS}. */
  readonly acks: readonly number[];
  /** Session id of the receiver, 8 bytes. Present exactly when `acks` is not empty. */
  readonly remoteSessionId?: Uint8Array;
  /** Unsigned 32-bit. Present exactly when the opcode is not P_ACK_V1. */
  readonly messageId?: number;
  /** TLS bytes, the TLVs of a hard reset, or nothing. */
  readonly payload: Uint8Array;
}

/**
 * Parses a control packet without wrapping. Total over all inputs. The byte arrays of the result are copies, so the
 * packet may be kept while the buffer is used again. Bytes behind an acknowledgement packet are ignored, as OpenVPN does.
 */
export function parseControlPacket(bytes: Uint8Array): Parsed<ControlPacket> {
  if (bytes.length < CONTROL_HEADER_BYTES + 1) return refused('control packet: too short');
  const opcode = opcodeOf(bytes[0]!);
  if (isDataOpcode(opcode)) return refused('control packet: data opcode');
  if (!isControlOpcode(opcode)) return refused('control packet: unknown opcode');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ackCount = bytes[CONTROL_HEADER_BYTES]!;
  if (ackCount > MAX_ACKS) return refused('control packet: too many acknowledgements');
  let offset = CONTROL_HEADER_BYTES + 1;
  const acks: number[] = [];
  let remoteSessionId: Uint8Array | undefined;
  if (ackCount > 0) {
    if (bytes.length < offset + 4 * ackCount + SESSION_ID_BYTES)
      return refused('control packet: acknowledgements cut short');
    for (let i = 0; i < ackCount; i++, offset += 4) acks.push(view.getUint32(offset));
    remoteSessionId = copyOf(bytes, offset, offset + SESSION_ID_BYTES);
    offset += SESSION_ID_BYTES;
  }
  let messageId: number | undefined;
  if (opcode !== P_ACK_V1) {
    if (bytes.length < offset + 4) return refused('control packet: message id cut short');
    messageId = view.getUint32(offset);
    offset += 4;
  }
  return accepted({
    opcode,
    keyId: keyIdOf(bytes[0]!),
    sessionId: copyOf(bytes, 1, CONTROL_HEADER_BYTES),
    acks,
    ...(remoteSessionId && { remoteSessionId }),
    ...(messageId !== undefined && { messageId }),
    payload: opcode === P_ACK_V1 ? new Uint8Array(0) : copyOf(bytes, offset),
  });
}

/** Bytes that {@link emitControlPacket} writes in front of the payload. */
export function controlPacketOverhead(opcode: number, ackCount: number): number {
  return (
    CONTROL_HEADER_BYTES + 1 + (ackCount > 0 ? 4 * ackCount + SESSION_ID_BYTES : 0) + (opcode === P_ACK_V1 ? 0 : 4)
  );
}

/**
 * Writes a control packet without wrapping. The caller owns the result.
 *
 * @throws RangeError when the packet contradicts itself (acknowledgements without the receiver's session id, a P_ACK_V1
 *   with a message id or payload, a session id of another length): a bug of ours.
 */
export function emitControlPacket(packet: ControlPacket): Uint8Array {
  const { opcode, keyId, sessionId, acks, remoteSessionId, messageId, payload } = packet;
  if (!isControlOpcode(opcode) || keyId < 0 || keyId > 7)
    throw new RangeError(`not a control packet: opcode ${opcode}, key id ${keyId}`);
  if (sessionId.length !== SESSION_ID_BYTES) throw new RangeError('a session id has 8 bytes');
  if (acks.length > MAX_ACKS) throw new RangeError(`${acks.length} acknowledgements, at most ${MAX_ACKS}`);
  if (acks.length > 0 !== (remoteSessionId !== undefined)) {
    throw new RangeError('acknowledgements and the session id of the receiver come together');
  }
  if (remoteSessionId && remoteSessionId.length !== SESSION_ID_BYTES) throw new RangeError('a session id has 8 bytes');
  if ((opcode === P_ACK_V1) !== (messageId === undefined))
    throw new RangeError('every packet but P_ACK_V1 has a message id');
  if (opcode === P_ACK_V1 && payload.length > 0) throw new RangeError('P_ACK_V1 has no payload');

  const bytes = new Uint8Array(controlPacketOverhead(opcode, acks.length) + payload.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = firstByte(opcode, keyId);
  bytes.set(sessionId, 1);
  bytes[CONTROL_HEADER_BYTES] = acks.length;
  let offset = CONTROL_HEADER_BYTES + 1;
  for (const id of acks) {
    view.setUint32(offset, id);
    offset += 4;
  }
  if (remoteSessionId) {
    bytes.set(remoteSessionId, offset);
    offset += SESSION_ID_BYTES;
  }
  if (messageId !== undefined) {
    view.setUint32(offset, messageId);
    offset += 4;
  }
  bytes.set(payload, offset);
  return bytes;
}
