export {
  type AuthFailure,
  type DynamicChallenge,
  parseAuthFailure,
  parseDynamicChallenge,
  type RetryAdvance,
} from './auth-failure.js';
export { decodeBase64, encodeBase64 } from './base64.js';
export { answerDynamicChallenge, answerStaticChallenge, type ChallengeAnswer } from './challenge-answer.js';
export {
  COMPRESS_LZ4_SWAP,
  COMPRESS_LZO,
  COMPRESS_LZO_NONE,
  COMPRESS_NONE_SWAP,
  COMPRESS_V2_HEADER_BYTES,
  COMPRESS_V2_INDICATOR,
  COMPRESS_V2_LZ4,
  COMPRESS_V2_NONE,
  COMPRESS_V2_NONE_MISTAKEN,
} from './compression-framing.js';
export { type ControlMessage, type PushContinuation, parseControlMessage } from './control-message.js';
export {
  CONTROL_HEADER_BYTES,
  type ControlPacket,
  controlPacketOverhead,
  emitControlPacket,
  MAX_ACKS,
  MAX_CONTROL_PACKET_BYTES,
  MAX_PIGGYBACKED_ACKS,
  parseControlPacket,
} from './control-packet.js';
export {
  type ControlTexts,
  emitControlMessage,
  extractControlMessages,
  withoutControlCharacters,
} from './control-text.js';
export { copyOf } from './copy-of.js';
export {
  AEAD_TAG_BYTES,
  DATA_V1_HEADER_BYTES,
  DATA_V2_HEADER_BYTES,
  EPOCH_PACKET_ID_BYTES,
  LONG_PACKET_ID_BYTES,
  MIN_AEAD_V1_BYTES,
  MIN_AEAD_V2_BYTES,
  MIN_EPOCH_BYTES,
  PEER_ID_UNDEFINED,
  peerIdAt,
  SHORT_PACKET_ID_BYTES,
} from './data-packet.js';
export { type EarlyNegotiation, emitEarlyNegotiation, parseEarlyNegotiation } from './early-negotiation.js';
export {
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_LAST,
  FRAGMENT_NOT_LAST,
  FRAGMENT_SEQUENCE_IDS,
  FRAGMENT_TEST,
  FRAGMENT_WHOLE,
  fragmentHeader,
  fragmentNumber,
  fragmentSequenceId,
  fragmentSize,
  fragmentType,
  MAX_FRAGMENT_BYTES,
  MAX_FRAGMENTS,
} from './fragment-header.js';
export {
  emitKeyMethod2Client,
  emitKeyMethod2Server,
  KEY_RANDOM_BYTES,
  type KeyMethod2Client,
  type KeyMethod2Server,
  MAX_CREDENTIAL_BYTES,
  MAX_KEY_METHOD_2_BYTES,
  MAX_OPTIONS_STRING_BYTES,
  PRE_MASTER_BYTES,
  parseKeyMethod2Client,
  parseKeyMethod2Server,
  type ReceivedKeyMethod2Client,
} from './key-method-2.js';
export { emitOccMessage, isOcc, OCC_MAGIC, type OccMessage, parseOccMessage } from './occ-message.js';
export {
  firstByte,
  isControlOpcode,
  isDataOpcode,
  isHardReset,
  keyIdOf,
  MAX_KEY_ID,
  nextKeyId,
  opcodeName,
  opcodeOf,
  P_ACK_V1,
  P_CONTROL_HARD_RESET_CLIENT_V1,
  P_CONTROL_HARD_RESET_CLIENT_V2,
  P_CONTROL_HARD_RESET_CLIENT_V3,
  P_CONTROL_HARD_RESET_SERVER_V1,
  P_CONTROL_HARD_RESET_SERVER_V2,
  P_CONTROL_SOFT_RESET_V1,
  P_CONTROL_V1,
  P_CONTROL_WKC_V1,
  P_DATA_V1,
  P_DATA_V2,
} from './opcode.js';
export { accepted, type Parsed, refused } from './parsed.js';
export {
  emitPeerInfo,
  IV_PROTO_AUTH_FAIL_TEMP,
  IV_PROTO_AUTH_PENDING_KW,
  IV_PROTO_CC_EXIT_NOTIFY,
  IV_PROTO_DATA_EPOCH,
  IV_PROTO_DATA_V2,
  IV_PROTO_DNS_OPTION,
  IV_PROTO_DNS_OPTION_V2,
  IV_PROTO_DYN_TLS_CRYPT,
  IV_PROTO_NCP_P2P,
  IV_PROTO_PUSH_UPDATE,
  IV_PROTO_REQUEST_PUSH,
  IV_PROTO_TLS_KEY_EXPORT,
  MAX_PEER_ID,
  type PeerInfo,
  parsePeerInfo,
  peerInfoInteger,
  peerInfoPeerId,
} from './peer-info.js';
export { emitPem, parsePem } from './pem.js';
export { isPing, PING_PAYLOAD } from './ping.js';
export {
  MAX_PUSH_CHARACTERS,
  MAX_PUSH_OPTION_BYTES,
  PUSH_BUNDLE_BYTES,
  PushAssembly,
  type PushPart,
  splitPushReply,
  splitPushUpdate,
} from './push-message.js';
export { isZeroSessionId, SESSION_ID_BYTES, sessionIdHex, sessionIdsEqual } from './session-id.js';
export {
  framePacket,
  guessStreamProtocol,
  STREAM_HEADER_BYTES,
  StreamDeframer,
  type StreamGuess,
} from './stream-framing.js';
