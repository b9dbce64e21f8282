/** Key method 1's reset of the client. Nobody may send it any more. */
export const P_CONTROL_HARD_RESET_CLIENT_V1 = 1;
/** Key method 1's reset of the server. Nobody may send it any more. */
export const P_CONTROL_HARD_RESET_SERVER_V1 = 2;
/** Start of a renegotiation; carries the new key id. */
export const P_CONTROL_SOFT_RESET_V1 = 3;
/** TLS bytes. */
export const P_CONTROL_V1 = 4;
/** Acknowledgements alone, without a message id. */
export const P_ACK_V1 = 5;
/** Data without a peer id. */
export const P_DATA_V1 = 6;
/** First packet of a TLS client. */
export const P_CONTROL_HARD_RESET_CLIENT_V2 = 7;
/** First packet of a TLS server. */
export const P_CONTROL_HARD_RESET_SERVER_V2 = 8;
/** Data with a 24-bit peer id. */
export const P_DATA_V2 = 9;
/** First packet of a TLS client that uses tls-crypt-v2; its wrapped client key stands at the end of the packet. */
export const P_CONTROL_HARD_RESET_CLIENT_V3 = 10;
/** P_CONTROL_V1 with the wrapped client key at the end of the packet. */
export const P_CONTROL_WKC_V1 = 11;

/** The key id field is three bits wide: 0 is a session's first key, later ones run 1 … 7 and start again at 1. */
export const MAX_KEY_ID = 7;

/** The opcode in a packet's first byte, 0 … 31. OpenVPN: P_OPCODE_SHIFT. */
export function opcodeOf(firstByte: number): number {
  return (firstByte >> 3) & 0x1f;
}

/** The key id in a packet's first byte, 0 … 7. OpenVPN: P_KEY_ID_MASK. */
export function keyIdOf(firstByte: number): number {
  return firstByte & 0x07;
}

/** A packet's first byte: opcode in the upper five bits, key id in the lower three. */
export function firstByte(opcode: number, keyId: number): number {
  return ((opcode & 0x1f) << 3) | (keyId & 0x07);
}

/** The key id that follows in a renegotiation: 0 is never used again. OpenVPN: key_state_init(). */
export function nextKeyId(keyId: number): number {
  return keyId >= MAX_KEY_ID ? 1 : keyId + 1;
}

/** Tells whether the opcode is one of the data channel. */
export function isDataOpcode(opcode: number): boolean {
  return opcode === P_DATA_V1 || opcode === P_DATA_V2;
}

/** Tells whether the opcode is one of the control channel that 2.6 and later take: 3 … 11 without the data opcodes. */
export function isControlOpcode(opcode: number): boolean {
  return opcode >= P_CONTROL_SOFT_RESET_V1 && opcode <= P_CONTROL_WKC_V1 && !isDataOpcode(opcode);
}

/** Tells whether the opcode starts a session: one of the hard resets of key method 2. */
export function isHardReset(opcode: number): boolean {
  return (
    opcode === P_CONTROL_HARD_RESET_CLIENT_V2 ||
    opcode === P_CONTROL_HARD_RESET_SERVER_V2 ||
    opcode === P_CONTROL_HARD_RESET_CLIENT_V3
  );
}

const NAMES: readonly string[] = [
  '',
  'P_CONTROL_HARD_RESET_CLIENT_V1',
  'P_CONTROL_HARD_RESET_SERVER_V1',
  'P_CONTROL_SOFT_RESET_V1',
  'P_CONTROL_V1',
  'P_ACK_V1',
  'P_DATA_V1',
  'P_CONTROL_HARD_RESET_CLIENT_V2',
  'P_CONTROL_HARD_RESET_SERVER_V2',
  'P_DATA_V2',
  'P_CONTROL_HARD_RESET_CLIENT_V3',
  'P_CONTROL_WKC_V1',
];

/** OpenVPN's name of an opcode for logs, `P_???` for one that it does not know. OpenVPN: packet_opcode_name(). */
export function opcodeName(opcode: number): string {
  return NAMES[opcode] || 'P_???';
}
