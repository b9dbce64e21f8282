/** Which server a client tries after a temporary failure: the same address, the next address, or the next `remote`. */
export type RetryAdvance = 'no' | 'addr' | 'remote';

/** Why the server refused the client. Every variant keeps the `reason` as it came. */
export type AuthFailure =
  | { readonly kind: 'plain'; readonly reason: string }
  /** The auth token is no longer good: the client may try again with its password. */
  | { readonly kind: 'session'; readonly reason: string; readonly text: string }
  /** A dynamic challenge: the client is to come back with an answer. */
  | { readonly kind: 'challenge'; readonly reason: string; readonly challenge: DynamicChallenge }
  /** The client is to come back later, elsewhere, or both. */
  | {
      readonly kind: 'temporary';
      readonly reason: string;
      /** Seconds to wait before the next try, if the server says so. */
      readonly backoffSeconds: number | undefined;
      readonly advance: RetryAdvance;
      readonly text: string;
    };

/** `CRV1:flags:state_id:base64(username):text`. OpenVPN: management-notes.txt, dynamic challenge/response. */
export interface DynamicChallenge {
  /** E: echo the answer; R: an answer is required. */
  readonly flags: readonly string[];
  readonly stateId: string;
  /** Base64 as it came. */
  readonly username: string;
  readonly text: string;
}

/** Parses what follows `AUTH_FAILED,`. What has no known form is plain. OpenVPN: receive_auth_failed(). */
export function parseAuthFailure(reason: string): AuthFailure {
  if (reason.startsWith('SESSION:')) return { kind: 'session', reason, text: reason.slice('SESSION:'.length).trim() };
  const challenge = parseDynamicChallenge(reason);
  if (challenge) return { kind: 'challenge', reason, challenge };
  if (reason.startsWith('TEMP')) return parseTemporary(reason);
  return { kind: 'plain', reason };
}

/** Parses a dynamic challenge, or answers undefined. */
export function parseDynamicChallenge(text: string): DynamicChallenge | undefined {
  const match = /^CRV1:([^:]*):([^:]*):([^:]*):(.*)$/.exec(text);
  if (!match) return undefined;
  return { flags: match[1]!.split(',').filter(Boolean), stateId: match[2]!, username: match[3]!, text: match[4]! };
}

/** `TEMP[backoff N,advance no|addr|remote]:text`; the bracket and the text may each be missing. OpenVPN: parse_auth_failed_temp(). */
function parseTemporary(reason: string): AuthFailure {
  let rest = reason.slice('TEMP'.length);
  let backoffSeconds: number | undefined;
  let advance: RetryAdvance = 'addr';
  const bracket = /^\[([^\]]*)\]/.exec(rest);
  if (bracket) {
    rest = rest.slice(bracket[0].length);
    for (const flag of bracket[1]!.split(',')) {
      const backoff = /^backoff (\d{1,9})$/.exec(flag)?.[1];
      if (backoff !== undefined) backoffSeconds = Number(backoff);
      const where = /^advance (no|addr|remote)$/.exec(flag)?.[1];
      if (where !== undefined) advance = where as RetryAdvance;
    }
  }
  return { kind: 'temporary', reason, backoffSeconds, advance, text: rest.startsWith(':') ? rest.slice(1) : rest };
}
