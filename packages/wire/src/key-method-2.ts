import { copyOf } from './copy-of.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** Length of the client's pre-master secret. */
export const PRE_MASTER_BYTES = 48;
/** Length of each of the two randoms that both sides send. */
export const KEY_RANDOM_BYTES = 32;
/** Longest options string, with its NUL. OpenVPN: OPTION_LINE_SIZE × 2. */
export const MAX_OPTIONS_STRING_BYTES = 512;
/** Longest username and longest password, each with its NUL. OpenVPN: USER_PASS_LEN without PKCS#11. */
export const MAX_CREDENTIAL_BYTES = 128;
/** Longest message. OpenVPN reads it with one TLS read into this buffer: it must be a single TLS record. */
export const MAX_KEY_METHOD_2_BYTES = 2048;

/**
 * What the server sends in the key exchange. In every text, undefined is "not given" (u16 0), which differs on the wire
 * from the empty text (`0001 00`).
 *
 * | offset | size | field |
 * |---|---|---|
 * | 0 | 4 | zero |
 * | 4 | 1 | key method, 2 |
 * | 5 | 48 | pre-master secret, from the client only |
 * | … | 32, 32 | the two randoms |
 * | … | 2 + n | options string, username, password, peer info: u16 length with the NUL, text, NUL |
 *
 * OpenVPN: key_method_2_write(), key_method_2_read().
 */
export interface KeyMethod2Server {
  /** Secret: zero it after the keys are derived. */
  readonly random1: Uint8Array;
  readonly random2: Uint8Array;
  readonly optionsString: string | undefined;
  /** Lines `KEY=VALUE\n`; see parsePeerInfo. */
  readonly peerInfo: string | undefined;
}

/** What the TLS client sends in the key exchange. In point-to-point mode its credentials are usually not given. */
export interface KeyMethod2Client extends KeyMethod2Server {
  /** Secret: zero it after the keys are derived. */
  readonly preMaster: Uint8Array;
  readonly username: string | undefined;
  readonly password: string | undefined;
}

/** A received message of the client. */
export interface ReceivedKeyMethod2Client extends KeyMethod2Client {
  /**
   * Username or password was longer than {@link MAX_CREDENTIAL_BYTES} and was skipped; it then counts as not given. The
   * client is to be told with AUTH_FAILED, so this is no reason to refuse the message. OpenVPN: 2.6.13 and later.
   */
  readonly credentialsTooLong: boolean;
}

/**
 * Parses the client's message. The byte arrays are copies. Bytes behind the peer info are thrown away, and a tail that
 * is missing altogether counts as fields not given, as with very old peers.
 *
 * Refused: another key method, a lead other than zero, a cut message, a text without its NUL, a username or password
 * that is not UTF-8 or has a NUL inside, an options string over the limit.
 */
export function parseKeyMethod2Client(bytes: Uint8Array): Parsed<ReceivedKeyMethod2Client> {
  const reader = new Reader(bytes);
  const preMaster = reader.key(PRE_MASTER_BYTES);
  const random1 = reader.key(KEY_RANDOM_BYTES);
  const random2 = reader.key(KEY_RANDOM_BYTES);
  const optionsString = reader.text(MAX_OPTIONS_STRING_BYTES);
  const username = reader.credential();
  const password = reader.credential();
  const peerInfo = reader.text(MAX_KEY_METHOD_2_BYTES);
  if (reader.reason !== undefined) return refused(`key method 2: ${reader.reason}`);
  return accepted({
    preMaster,
    random1,
    random2,
    optionsString,
    username,
    password,
    peerInfo,
    credentialsTooLong: reader.credentialsTooLong,
  });
}

/** Parses the server's message, by the rules of {@link parseKeyMethod2Client}. Its username and password are skipped. */
export function parseKeyMethod2Server(bytes: Uint8Array): Parsed<KeyMethod2Server> {
  const reader = new Reader(bytes);
  const random1 = reader.key(KEY_RANDOM_BYTES);
  const random2 = reader.key(KEY_RANDOM_BYTES);
  const optionsString = reader.text(MAX_OPTIONS_STRING_BYTES);
  reader.credential();
  reader.credential();
  const peerInfo = reader.text(MAX_KEY_METHOD_2_BYTES);
  if (reader.reason !== undefined) return refused(`key method 2: ${reader.reason}`);
  return accepted({ random1, random2, optionsString, peerInfo });
}

/**
 * Writes the client's message, which must leave in one TLS record. The result holds secrets and belongs to the caller.
 *
 * @throws RangeError when a field or the whole is over its limit or a text has a NUL: check credentials before.
 */
export function emitKeyMethod2Client(message: KeyMethod2Client): Uint8Array {
  return emit([
    sized(message.preMaster, PRE_MASTER_BYTES),
    sized(message.random1, KEY_RANDOM_BYTES),
    sized(message.random2, KEY_RANDOM_BYTES),
    // 2.4 and 2.5 fail the handshake when no options string is given; an empty one does for them.
    textField(message.optionsString ?? '', MAX_OPTIONS_STRING_BYTES),
    textField(message.username, MAX_CREDENTIAL_BYTES),
    textField(message.password, MAX_CREDENTIAL_BYTES),
    textField(message.peerInfo, MAX_KEY_METHOD_2_BYTES),
  ]);
}

/** Writes the server's message, by the rules of {@link emitKeyMethod2Client}. */
export function emitKeyMethod2Server(message: KeyMethod2Server): Uint8Array {
  return emit([
    sized(message.random1, KEY_RANDOM_BYTES),
    sized(message.random2, KEY_RANDOM_BYTES),
    textField(message.optionsString ?? '', MAX_OPTIONS_STRING_BYTES),
    textField(undefined, MAX_CREDENTIAL_BYTES),
    textField(undefined, MAX_CREDENTIAL_BYTES),
    textField(message.peerInfo, MAX_KEY_METHOD_2_BYTES),
  ]);
}

const LEAD = Uint8Array.of(0, 0, 0, 0, 2);
// The byte order mark is kept: it is part of what the peer wrote.
const lenient = new TextDecoder('utf-8', { ignoreBOM: true });
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Reads field by field and keeps the first reason to refuse; after that every read gives nothing. */
class Reader {
  reason: string | undefined;
  credentialsTooLong = false;
  readonly #bytes: Uint8Array;
  #offset = LEAD.length;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    if (bytes.length < LEAD.length) this.reason = 'too short';
    else if (bytes.subarray(0, 4).some((byte) => byte !== 0)) this.reason = 'does not start with zero';
    // The upper half of the byte once held flags; OpenVPN masks it too.
    else if ((bytes[4]! & 0x0f) !== 2) this.reason = 'another key method';
  }

  key(length: number): Uint8Array {
    const value = copyOf(this.#bytes, this.#offset, this.#offset + length);
    if (value.length < length) this.reason ??= 'key material cut short';
    this.#offset += length;
    return value;
  }

  /** The bytes of one field with its NUL, or undefined when it is not given. */
  #field(): Uint8Array | undefined {
    if (this.reason !== undefined || this.#bytes.length - this.#offset < 2) return undefined;
    const length = (this.#bytes[this.#offset]! << 8) | this.#bytes[this.#offset + 1]!;
    this.#offset += 2;
    if (length === 0) return undefined;
    if (length > this.#bytes.length - this.#offset) {
      this.reason = 'text beyond the message';
      return undefined;
    }
    const field = this.#bytes.subarray(this.#offset, this.#offset + length);
    this.#offset += length;
    if (field[length - 1] !== 0) {
      this.reason = 'text without its NUL';
      return undefined;
    }
    return field;
  }

  /** A text up to its first NUL. */
  text(limit: number): string | undefined {
    const field = this.#field();
    if (!field) return undefined;
    if (field.length > limit) {
      this.reason = 'text too long';
      return undefined;
    }
    return lenient.decode(field.subarray(0, field.indexOf(0)));
  }

  credential(): string | undefined {
    const field = this.#field();
    if (!field) return undefined;
    if (field.length > MAX_CREDENTIAL_BYTES) {
      this.credentialsTooLong = true;
      return undefined;
    }
    // What one program reads up to the NUL and the next one reads whole is two names for one person.
    if (field.indexOf(0) !== field.length - 1) {
      this.reason = 'NUL inside username or password';
      return undefined;
    }
    try {
      return strict.decode(field.subarray(0, -1));
    } catch {
      // Replacement characters would make different passwords equal.
      this.reason = 'username or password is not UTF-8';
      return undefined;
    }
  }
}

function sized(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length !== length) throw new RangeError(`key material of ${bytes.length} bytes, expected ${length}`);
  return bytes;
}

function textField(text: string | undefined, limit: number): Uint8Array {
  if (text === undefined) return Uint8Array.of(0, 0);
  const encoded = new TextEncoder().encode(text);
  if (encoded.includes(0)) throw new RangeError('NUL inside a text of the key exchange');
  const length = encoded.length + 1;
  if (length > limit) throw new RangeError(`text of ${length} bytes in the key exchange, at most ${limit}`);
  const field = new Uint8Array(2 + length);
  field[0] = length >> 8;
  field[1] = length & 0xff;
  field.set(encoded, 2);
  return field;
}

function emit(fields: readonly Uint8Array[]): Uint8Array {
  const length = fields.reduce((sum, field) => sum + field.length, LEAD.length);
  if (length > MAX_KEY_METHOD_2_BYTES) {
    throw new RangeError(`key exchange of ${length} bytes, at most ${MAX_KEY_METHOD_2_BYTES}`);
  }
  const bytes = new Uint8Array(length);
  bytes.set(LEAD);
  let offset = LEAD.length;
  for (const field of fields) {
    bytes.set(field, offset);
    offset += field.length;
  }
  return bytes;
}
