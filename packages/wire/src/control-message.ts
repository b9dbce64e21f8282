import { type AuthFailure, parseAuthFailure } from './auth-failure.js';

/** Where an option list stands in a row of messages: alone, followed by another part, or the last part. */
export type PushContinuation = 'single' | 'more' | 'last';

/** A message of the established control channel. OpenVPN: parse_incoming_control_channel_command(). */
export type ControlMessage =
  | { readonly type: 'AUTH_FAILED'; readonly failure: AuthFailure }
  | { readonly type: 'PUSH_REQUEST' }
  /** `options` are as they came, without `push-continuation`. */
  | { readonly type: 'PUSH_REPLY'; readonly options: readonly string[]; readonly continuation: PushContinuation }
  | { readonly type: 'PUSH_UPDATE'; readonly options: readonly string[]; readonly continuation: PushContinuation }
  /** Begins with PUSH_ and is none of the three. */
  | { readonly type: 'PUSH_INVALID'; readonly text: string }
  /** The server asks for a restart. `keepPassword` is its flag P, `nextServer` its flag N. */
  | { readonly type: 'RESTART'; readonly keepPassword: boolean; readonly nextServer: boolean; readonly text: string }
  | { readonly type: 'HALT'; readonly text: string }
  | { readonly type: 'INFO'; readonly text: string }
  | { readonly type: 'INFO_PRE'; readonly text: string }
  /** `response` is base64 as it came. */
  | { readonly type: 'CR_RESPONSE'; readonly response: string }
  /** The longest wait in seconds that the server asks for, if it says one. */
  | { readonly type: 'AUTH_PENDING'; readonly timeoutSeconds: number | undefined }
  | { readonly type: 'EXIT' }
  | { readonly type: 'unknown'; readonly text: string };

/**
 * Parses one control message. Total: what is not known is `unknown`, to be logged and ignored. Messages are known by
 * their beginning, in OpenVPN's order.
 */
export function parseControlMessage(text: string): ControlMessage {
  if (text.startsWith('AUTH_FAILED'))
    return { type: 'AUTH_FAILED', failure: parseAuthFailure(argument(text, 'AUTH_FAILED')) };
  if (text.startsWith('PUSH_')) return parsePush(text);
  if (text.startsWith('RESTART')) {
    const { flags, rest } = signalFlags(argument(text, 'RESTART'));
    return { type: 'RESTART', keepPassword: flags.includes('P'), nextServer: flags.includes('N'), text: rest };
  }
  if (text.startsWith('HALT')) return { type: 'HALT', text: signalFlags(argument(text, 'HALT')).rest };
  if (text.startsWith('INFO_PRE')) return { type: 'INFO_PRE', text: argument(text, 'INFO_PRE') };
  if (text.startsWith('INFO')) return { type: 'INFO', text: argument(text, 'INFO') };
  if (text.startsWith('CR_RESPONSE')) return { type: 'CR_RESPONSE', response: argument(text, 'CR_RESPONSE') };
  if (text.startsWith('AUTH_PENDING')) return parseAuthPending(argument(text, 'AUTH_PENDING'));
  if (text.startsWith('EXIT')) return { type: 'EXIT' };
  return { type: 'unknown', text };
}

/** What follows the keyword and one separator, which OpenVPN skips whatever it is. */
function argument(text: string, keyword: string): string {
  return text.slice(keyword.length + 1);
}

function parsePush(text: string): ControlMessage {
  if (text.startsWith('PUSH_REQUEST')) return { type: 'PUSH_REQUEST' };
  for (const type of ['PUSH_REPLY', 'PUSH_UPDATE'] as const) {
    if (text === type) return { type, options: [], continuation: 'single' };
    if (text.startsWith(`${type},`)) {
      let continuation: PushContinuation = 'single';
      const options = argument(text, type)
        .split(',')
        .filter((option) => {
          const part = /^\s*push-continuation\s+(\d+)\s*$/.exec(option)?.[1];
          if (part === undefined) return true;
          continuation = part === '2' ? 'more' : part === '1' ? 'last' : continuation;
          return false;
        });
      return { type, options, continuation };
    }
  }
  return { type: 'PUSH_INVALID', text };
}

/** `[flags]text`, as RESTART and HALT carry it. */
function signalFlags(text: string): { flags: string; rest: string } {
  const match = /^\[([^\]]*)\]?(.*)$/.exec(text);
  return match ? { flags: match[1]!, rest: match[2]! } : { flags: '', rest: text };
}

function parseAuthPending(keywords: string): ControlMessage {
  for (const keyword of keywords.split(',')) {
    const seconds = /^\s*timeout\s+(\d{1,9})\s*$/.exec(keyword)?.[1];
    if (seconds !== undefined) return { type: 'AUTH_PENDING', timeoutSeconds: Number(seconds) };
  }
  return { type: 'AUTH_PENDING', timeoutSeconds: undefined };
}
