import { createHash } from 'node:crypto';
import { type ChallengeAnswer, readParameters } from './challenge.js';
import type { ProxyCredentials } from './http-proxy-options.js';
import { printable } from './response-head.js';

/** What a response to a digest challenge is made from. */
export interface DigestRequest {
  readonly method: string;
  /** The request's target, `host:port`. */
  readonly uri: string;
  readonly credentials: ProxyCredentials;
  /** Fresh, of 64 bits or more, as text. */
  readonly clientNonce: string;
}

/** The algorithms of RFC 7616, with and without `-sess`. OpenVPN knows the first two. */
const HASHES: Readonly<Record<string, string>> = { MD5: 'md5', 'SHA-256': 'sha256', 'SHA-512-256': 'sha512-256' };

/**
 * The value of `Proxy-Authorization` for a digest challenge, with quality of protection `auth`, or none where the proxy offers none (RFC 2069).
 * RFC 7616, section 3.4. OpenVPN: DigestCalcResponse().
 *
 * @param challenge what stands behind `Digest`
 */
export function digestResponse(challenge: string, request: DigestRequest): ChallengeAnswer {
  const given = readParameters(challenge);
  const realm = given.get('realm');
  const nonce = given.get('nonce');
  if (realm === undefined || nonce === undefined) {
    return {
      ok: false,
      reason: 'HTTP proxy: digest auth failed, malformed response from server: realm= or nonce= missing',
    };
  }
  const algorithm = given.get('algorithm') ?? 'MD5';
  const session = /-sess$/i.test(algorithm);
  const hashName = HASHES[algorithm.toUpperCase().replace(/-SESS$/, '')];
  const offered = given
    .get('qop')
    ?.toLowerCase()
    .split(/[\s,]+/);
  if (hashName === undefined || (offered !== undefined && !offered.includes('auth'))) {
    const what = hashName === undefined ? `algorithm ${algorithm}` : `qop ${given.get('qop')}`;
    return { ok: false, reason: `HTTP proxy: digest auth failed, no support for ${printable(what)}` };
  }
  const hash = (text: string): string => createHash(hashName).update(text, 'latin1').digest('hex');
  const username = byteText(request.credentials.username);
  const password = byteText(request.credentials.password);
  const { clientNonce, uri } = request;
  const first = hash(`${username}:${realm}:${password}`);
  const secret = session ? hash(`${first}:${nonce}:${clientNonce}`) : first;
  const asked = hash(`${request.method}:${uri}`);
  const response =
    offered === undefined
      ? hash(`${secret}:${nonce}:${asked}`)
      : hash(`${secret}:${nonce}:${NONCE_COUNT}:${clientNonce}:auth:${asked}`);
  const opaque = given.get('opaque');
  const fields = [
    `username=${quoted(username)}`,
    `realm=${quoted(realm)}`,
    `nonce=${quoted(nonce)}`,
    `uri=${quoted(uri)}`,
    ...(given.has('algorithm') ? [`algorithm=${algorithm}`] : []),
    ...(offered === undefined && !session ? [] : [`cnonce=${quoted(clientNonce)}`]),
    ...(offered === undefined ? [] : ['qop=auth', `nc=${NONCE_COUNT}`]),
    `response="${response}"`,
    ...(opaque === undefined ? [] : [`opaque=${quoted(opaque)}`]),
  ];
  return { ok: true, header: `Digest ${fields.join(', ')}` };
}

/** Each nonce is used once: another connection is asked anew. */
const NONCE_COUNT = '00000001';

/** One character for each byte of UTF-8, as the head of a response is read and a request is written. */
function byteText(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1');
}

function quoted(text: string): string {
  return `"${text.replace(/["\\]/g, '\\$&')}"`;
}
