import { messageTag, sameTag } from '@openvpnd/keygen';
import { type Random, Secret } from '@openvpnd/sans-io';
import { decodeBase64, encodeBase64, type Parsed, parsePem } from '@openvpnd/wire';

const PREFIX = 'SESS_ID_AT_';
const SESSION_ID_BYTES = 12;
/** Session id, initial time, time of the last renewal. */
const SIGNED_BYTES = SESSION_ID_BYTES + 8 + 8;
const TOKEN_BYTES = SIGNED_BYTES + 32;
const TOKEN_CHARACTERS = PREFIX.length + (TOKEN_BYTES / 3) * 4;
const KEY_FILE_BYTES = 128;
/** Where the HMAC key stands in the file, whose first half is a cipher's. */
const KEY_OFFSET = 64;
const KEY_BYTES = 32;

/** What stays the same in all tokens of one client: who was let in with its password, and when. */
export interface TokenSession {
  /** 12 bytes at random. */
  readonly sessionId: Uint8Array;
  /** Unix time. */
  readonly initialSeconds: number;
}

/** How a client stands that has shown a token, or none. The values of `session_state` in the environment of --auth-gen-token external-auth. */
export type TokenState =
  | 'Initial'
  | 'Authenticated'
  | 'Expired'
  | 'Invalid'
  /** The token was made for the empty user name, the client has sent another: OpenVPN 3 does so. */
  | 'AuthenticatedEmptyUser'
  | 'ExpiredEmptyUser';

/** What a token says. `session` is there when the server has made it, whether or not it is still good. */
export interface TokenVerdict {
  readonly state: Exclude<TokenState, 'Initial'>;
  readonly session: TokenSession | undefined;
}

export interface AuthTokensOptions {
  /** 32 bytes; see {@link parseAuthTokenKey}. */
  readonly key: Secret;
  /** A token is good for twice that time. The second parameter of --auth-gen-token; by default that of --reneg-sec. */
  readonly renewalSeconds: number;
  /** Its first parameter: how long after the first token of a client the last one is good. 0: without end. */
  readonly lifetimeSeconds: number;
  readonly random: Random;
}

/**
 * Whether a password has the form of a token that some OpenVPN server has made: the prefix and the exact length. It may be forged.
 * OpenVPN: is_auth_token().
 */
export function isAuthToken(password: string): boolean {
  return password.length === TOKEN_CHARACTERS && password.startsWith(PREFIX);
}

/** The key in the text of an --auth-gen-token-secret file. OpenVPN: auth_token_init_secret(). */
export function parseAuthTokenKey(text: string): Parsed<Secret> {
  const pem = parsePem(text, 'OpenVPN auth-token server key');
  if (!pem.ok) return pem;
  if (pem.value.length < KEY_FILE_BYTES) return { ok: false, reason: 'not enough data in auth-token secret' };
  const key = new Secret(pem.value.subarray(KEY_OFFSET, KEY_OFFSET + KEY_BYTES));
  pem.value.fill(0);
  return { ok: true, value: key };
}

/** A key for a server that has no such file; its tokens end with it. */
export function randomAuthTokenKey(random: Random): Secret {
  const bytes = new Uint8Array(KEY_BYTES);
  random.fill(bytes);
  const key = new Secret(bytes);
  bytes.fill(0);
  return key;
}

/**
 * Makes and checks what --auth-gen-token gives clients in place of their password: `SESS_ID_AT_` and the base64 of session id (12), initial
 * time (8), time (8), both big-endian, and HMAC-SHA-256 over the user name and these. Keeps nothing of what it made.
 * OpenVPN: generate_auth_token(), verify_auth_token().
 */
export class AuthTokens {
  readonly #options: AuthTokensOptions;

  constructor(options: AuthTokensOptions) {
    this.#options = options;
  }

  /** A session for a client that was let in with its password. */
  open(unixSeconds: number): TokenSession {
    const sessionId = new Uint8Array(SESSION_ID_BYTES);
    this.#options.random.fill(sessionId);
    return { sessionId, initialSeconds: unixSeconds };
  }

  /** A token that is good from now on, for at most twice the renewal time. */
  make(username: string, session: TokenSession, unixSeconds: number): string {
    const bytes = new Uint8Array(TOKEN_BYTES);
    const view = new DataView(bytes.buffer);
    bytes.set(session.sessionId);
    view.setBigUint64(SESSION_ID_BYTES, BigInt(session.initialSeconds));
    view.setBigUint64(SESSION_ID_BYTES + 8, BigInt(unixSeconds));
    bytes.set(this.#tag(username, bytes.subarray(0, SIGNED_BYTES)), SIGNED_BYTES);
    return PREFIX + encodeBase64(bytes);
  }

  /**
   * Judges a password for which {@link isAuthToken} holds. Total over all inputs.
   *
   * @param bound the session that the client has already: a token of another one is invalid
   */
  check(token: string, username: string, unixSeconds: number, bound?: TokenSession): TokenVerdict {
    const bytes = decodeBase64(token.slice(PREFIX.length));
    if (bytes?.length !== TOKEN_BYTES) return INVALID;
    const signed = bytes.subarray(0, SIGNED_BYTES);
    const tag = bytes.subarray(SIGNED_BYTES);
    const own = sameTag(this.#tag(username, signed), tag);
    if (!own && !sameTag(this.#tag('', signed), tag)) return INVALID;
    const sessionId = bytes.slice(0, SESSION_ID_BYTES);
    if (bound && !sameTag(bound.sessionId, sessionId)) return INVALID;
    const view = new DataView(bytes.buffer);
    const initialSeconds = Number(view.getBigUint64(SESSION_ID_BYTES));
    const good = this.#isGood(initialSeconds, Number(view.getBigUint64(SESSION_ID_BYTES + 8)), unixSeconds);
    const session = { sessionId, initialSeconds };
    if (own) return { state: good ? 'Authenticated' : 'Expired', session };
    return { state: good ? 'AuthenticatedEmptyUser' : 'ExpiredEmptyUser', session };
  }

  #isGood(initial: number, renewed: number, now: number): boolean {
    const { renewalSeconds, lifetimeSeconds } = this.#options;
    if (now < renewed || now >= renewed + 2 * renewalSeconds || renewed < initial) return false;
    return lifetimeSeconds === 0 || now <= initial + lifetimeSeconds;
  }

  #tag(username: string, signed: Uint8Array): Uint8Array {
    return messageTag(this.#options.key.bytes, new TextEncoder().encode(username), signed);
  }
}

/** A session id as scripts see it. */
export function tokenSessionText(session: TokenSession): string {
  return encodeBase64(session.sessionId);
}

const INVALID: TokenVerdict = { state: 'Invalid', session: undefined };
