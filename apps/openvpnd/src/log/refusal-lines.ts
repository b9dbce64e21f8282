import type { LogFields } from '@openvpnd/sans-io';

/** OpenVPN's lines for what the packages say about a control packet that did not open. */
const REFUSALS: Readonly<Record<string, (from: string) => readonly string[]>> = {
  'tls-auth: too short': (from) => [`TLS Error: cannot locate HMAC in incoming packet from ${from}`],
  'tls-auth: authentication failed': (from) => [
    'Authenticate/Decrypt packet error: packet HMAC authentication failed',
    incoming(from),
  ],
  'tls-auth: replayed packet id': (from) => [
    'Authenticate/Decrypt packet error: bad packet ID (may be a replay)',
    incoming(from),
  ],
  'tls-crypt: too short': (from) => ['tls-crypt unwrap error: packet too short', tlsCrypt(from)],
  'tls-crypt: authentication failed': (from) => [
    'tls-crypt unwrap error: packet authentication failed',
    tlsCrypt(from),
  ],
  'tls-crypt: replayed packet id': (from) => ['tls-crypt unwrap error: packet replay', tlsCrypt(from)],
  'tls-crypt-v2: no client key': (from) => [`TLS Error: could not determine wrapping from ${from}`],
  'tls-crypt-v2: too short': (from) => [`TLS Error: could not determine wrapping from ${from}`],
  'tls-crypt-v2: wrapped client key of a wrong length': (from) => [noClientKey(from)],
  'tls-crypt-v2: no server key': (from) => ['Client wants tls-crypt-v2, but no server key present.', noClientKey(from)],
  'tls-crypt-v2: client key not admitted': (from) => [
    'tls-crypt-v2: the client key is older than --tls-crypt-v2-max-age, has no timestamp, or is another than the one that was judged',
    noClientKey(from),
  ],
  'single session': (from) => [
    `TLS Error: Cannot accept new session request from ${from} due to session context expire or --single-session [1]`,
  ],
  'wrapped client key: authentication failed': (from) => [
    'tls_crypt_v2_unwrap_client_key: client key authentication error',
    'Can not unwrap tls-crypt-v2 client key',
    noClientKey(from),
  ],
};

/** What OpenVPN prints about a control packet that is dropped for `reason`; nothing for reasons on which it is silent. */
export function refusalLines(fields: LogFields): readonly string[] {
  return REFUSALS[String(fields.reason)]?.(String(fields.from)) ?? [];
}

function incoming(from: string): string {
  return `TLS Error: incoming packet authentication failed from ${from}`;
}

function tlsCrypt(from: string): string {
  return `TLS Error: tls-crypt unwrapping failed from ${from}`;
}

function noClientKey(from: string): string {
  return `TLS Error: can not extract tls-crypt-v2 client key from ${from}`;
}
