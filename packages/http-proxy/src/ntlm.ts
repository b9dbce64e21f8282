import { createHmac } from 'node:crypto';
import type { ChallengeAnswer } from './challenge.js';
import type { ProxyCredentials } from './http-proxy-options.js';

/** MD4 of some bytes. Node's OpenSSL has it no more. */
export type Md4 = (bytes: Uint8Array) => Uint8Array;

/** What an answer to an NTLM challenge is made from. */
export interface NtlmRequest {
  /** The user name may begin with a domain and a backslash. */
  readonly credentials: ProxyCredentials;
  /** 8 fresh random bytes. */
  readonly clientChallenge: Uint8Array;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly md4: Md4;
}

const SIGNATURE = Buffer.from('NTLMSSP\0', 'latin1');
/** NTLMSSP_NEGOTIATE_UNICODE, NTLMSSP_REQUEST_TARGET, NTLMSSP_NEGOTIATE_NTLM, NTLMSSP_NEGOTIATE_EXTENDED_SESSIONSECURITY, NTLMSSP_NEGOTIATE_TARGET_INFO. */
const UNICODE = 0x1;
const NEGOTIATE_FLAGS = UNICODE | 0x4 | 0x200 | 0x80000;
const TARGET_INFO = 0x800000;
/** A target's list of names has a few hundred bytes. */
const MAX_TARGET_INFO_BYTES = 2048;
/** Milliseconds from 1601 to 1970. */
const FILETIME_OFFSET_MS = 11_644_473_600_000n;

/** The value of `Proxy-Authorization` that asks for a challenge: a NEGOTIATE_MESSAGE without names. MS-NLMP 2.2.1.1. OpenVPN: ntlm_phase_1(). */
export function ntlmNegotiation(): string {
  const message = Buffer.alloc(32);
  SIGNATURE.copy(message);
  message.writeUInt32LE(1, 8);
  message.writeUInt32LE(NEGOTIATE_FLAGS, 12);
  return `NTLM ${message.toString('base64')}`;
}

/**
 * The value of `Proxy-Authorization` that answers a challenge: an AUTHENTICATE_MESSAGE with an NTLMv2 response. MS-NLMP 2.2.1.3 and 3.3.2. OpenVPN: ntlm_phase_3().
 *
 * @param challenge what stands behind `NTLM`, in base 64
 */
export function ntlmAnswer(challenge: string, request: NtlmRequest): ChallengeAnswer {
  const message = Buffer.from(challenge, 'base64');
  if (message.length < 32 || !message.subarray(0, 8).equals(SIGNATURE) || message.readUInt32LE(8) !== 2) {
    return { ok: false, reason: CORRUPTED };
  }
  const flags = message.readUInt32LE(20);
  const targetInfo = (flags & TARGET_INFO) === 0 ? Buffer.alloc(4) : partOf(message, 40);
  if (targetInfo === undefined || targetInfo.length > MAX_TARGET_INFO_BYTES) return { ok: false, reason: CORRUPTED };

  const encoding = (flags & UNICODE) !== 0 ? 'utf16le' : 'latin1';
  const { username, password } = request.credentials;
  const slash = username.indexOf('\\');
  const [domain, user] = slash < 0 ? ['', username] : [username.slice(0, slash), username.slice(slash + 1)];
  const secret = request.md4(Buffer.from(password, 'utf16le'));
  const key = hmacMd5(secret, Buffer.from(user.toUpperCase() + domain, 'utf16le'));
  const response = ntlmV2Response(key, message.subarray(24, 32), targetInfo, request);
  return {
    ok: true,
    header: `NTLM ${authenticateMessage({
      response,
      domain: Buffer.from(domain, encoding),
      user: Buffer.from(user, encoding),
      flags: NEGOTIATE_FLAGS & (flags | ~UNICODE),
    }).toString('base64')}`,
  };
}

const CORRUPTED = 'NTLM Proxy-Authorization phase 3 failed: received corrupted data from proxy server';

/** MS-NLMP 3.3.2: the proof, then what it is the proof of. */
function ntlmV2Response(key: Uint8Array, challenge: Uint8Array, targetInfo: Uint8Array, request: NtlmRequest): Buffer {
  const header = Buffer.alloc(28);
  header.writeUInt16LE(0x0101, 0);
  header.writeBigUInt64LE((BigInt(Math.floor(request.nowMs)) + FILETIME_OFFSET_MS) * 10_000n, 8);
  header.set(request.clientChallenge, 16);
  const blob = Buffer.concat([header, targetInfo, Buffer.alloc(4)]);
  return Buffer.concat([hmacMd5(key, Buffer.concat([challenge, blob])), blob]);
}

interface AuthenticateParts {
  readonly response: Buffer;
  readonly domain: Buffer;
  readonly user: Buffer;
  readonly flags: number;
}

function authenticateMessage({ response, domain, user, flags }: AuthenticateParts): Buffer {
  const head = Buffer.alloc(64);
  SIGNATURE.copy(head);
  head.writeUInt32LE(3, 8);
  let end = head.length;
  // The LM response, the workstation and the session key stay empty.
  for (const [at, part] of [
    [12, EMPTY],
    [20, response],
    [28, domain],
    [36, user],
    [44, EMPTY],
    [52, EMPTY],
  ] as const) {
    head.writeUInt16LE(part.length, at);
    head.writeUInt16LE(part.length, at + 2);
    head.writeUInt32LE(end, at + 4);
    end += part.length;
  }
  head.writeUInt32LE(flags, 60);
  return Buffer.concat([head, response, domain, user]);
}

const EMPTY = Buffer.alloc(0);

/** The bytes that a field of a message points to: length, room and offset; undefined when they are not there. */
function partOf(message: Buffer, at: number): Buffer | undefined {
  if (message.length < at + 8) return undefined;
  const length = message.readUInt16LE(at);
  const offset = message.readUInt32LE(at + 4);
  return offset + length > message.length ? undefined : message.subarray(offset, offset + length);
}

function hmacMd5(key: Uint8Array, data: Uint8Array): Buffer {
  return createHmac('md5', key).update(data).digest();
}
