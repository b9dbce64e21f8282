import type { ControlAction } from '@openvpnd/control-processor';
import { assertNever, type Log } from '@openvpnd/sans-io';
import type { AuthFailure } from '@openvpnd/wire';
import type { SignalInfo } from '../host/signals.js';
import type { ClientCredentials } from './client-credentials.js';

/** What the control channel asks for that ends a client's connection. */
export type ControlEnd = Extract<ControlAction, { readonly type: 'auth-failed' | 'restart' | 'session-lost' | 'exit' }>;

/** How a connection ends, and how it goes on after that. */
export type ConnectionEnd = Pick<SignalInfo, 'signal' | 'text' | 'retry'>;

/** What is asked when the server refuses the client. */
export interface RefusalPolicy {
  /** A token is forgotten when it is refused. */
  readonly credentials: ClientCredentials;
  /** --auth-retry nointeract: try again after AUTH_FAILED instead of exiting. */
  readonly retryAfterAuthFailure: boolean;
  readonly log?: Log;
}

/** OpenVPN's signal texts. */
const LOST_TEXT: Readonly<Record<string, string>> = {
  'no-push-reply': 'no-push-reply',
  'negotiation-failed': 'process-push-msg-failed',
};

/** Says how the control channel ends a connection. */
export function controlEnd(action: ControlEnd, policy: RefusalPolicy): ConnectionEnd {
  switch (action.type) {
    case 'auth-failed':
      return authFailureEnd(action.message.failure, policy);
    case 'restart': {
      const retry = { advance: action.message.nextServer ? 'remote' : 'no' } as const;
      return { signal: 'SIGUSR1', text: 'server-pushed-connection-reset', retry };
    }
    case 'session-lost':
      return { signal: 'SIGUSR1', text: LOST_TEXT[action.reason] ?? 'tls-error' };
    case 'exit':
      return action.reason === 'server-pushed-halt'
        ? { signal: 'SIGTERM', text: 'server-pushed-halt' }
        : { signal: 'SIGUSR1', text: 'remote-exit' };
    default:
      return assertNever(action);
  }
}

/** OpenVPN: receive_auth_failed(). */
function authFailureEnd(failure: AuthFailure, policy: RefusalPolicy): ConnectionEnd {
  policy.log?.error('client.auth-failed', {
    text: failure.reason === '' ? 'AUTH_FAILED' : `AUTH_FAILED,${failure.reason}`,
  });
  if (failure.kind === 'temporary') {
    const { advance, backoffSeconds } = failure;
    return {
      signal: 'SIGUSR1',
      text: 'auth-temp-failure (server temporary reject)',
      retry: {
        advance: advance === 'addr' ? 'address' : advance,
        ...(backoffSeconds === undefined ? {} : { backoffSeconds }),
      },
    };
  }
  const retry = { advance: 'no' } as const;
  // Whatever the reason is: a server that has started anew does not know its tokens any more.
  if (policy.credentials.dropToken()) return { signal: 'SIGUSR1', text: 'auth-failure (auth-token)', retry };
  return policy.retryAfterAuthFailure
    ? { signal: 'SIGUSR1', text: 'auth-failure', retry }
    : { signal: 'SIGTERM', text: 'auth-failure' };
}
