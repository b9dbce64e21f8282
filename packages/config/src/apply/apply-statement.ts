import type { Draft, Handler } from '../draft.js';
import type { Statement } from '../statement.js';
import { COMPRESSION_HANDLERS } from './compression.js';
import { DEVICE_HANDLERS, ROUTE_HANDLERS } from './device.js';
import { ENTRY_HANDLERS, LINK_HANDLERS } from './link.js';
import { PROCESS_HANDLERS } from './process.js';
import { PROXY_HANDLERS } from './proxy.js';
import { CLIENT_HANDLERS, SERVER_HANDLERS } from './server.js';
import { CRYPTO_HANDLERS, TLS_HANDLERS } from './tls.js';

/** The handler of every implemented option but `config`, `connection`, `help` and `version`, which the reader handles. */
export const HANDLERS: ReadonlyMap<string, Handler> = new Map(
  [
    PROCESS_HANDLERS,
    ENTRY_HANDLERS,
    LINK_HANDLERS,
    PROXY_HANDLERS,
    DEVICE_HANDLERS,
    ROUTE_HANDLERS,
    TLS_HANDLERS,
    CRYPTO_HANDLERS,
    COMPRESSION_HANDLERS,
    SERVER_HANDLERS,
    CLIENT_HANDLERS,
  ].flatMap((handlers) => Object.entries(handlers)),
);

/** Takes a good statement into the draft; returns why not, in OpenVPN's words, without place. */
export function applyStatement(draft: Draft, statement: Statement): string | undefined {
  const handler = HANDLERS.get(statement.name);
  if (handler === undefined) throw new TypeError(`option ${statement.name} is implemented but has no handler`);
  draft.seen.set(statement.name, statement.origin);
  return handler(draft, statement);
}
