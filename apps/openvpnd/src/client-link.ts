import type { ConnectionEntry } from '@openvpnd/config';
import {
  connectError,
  type Endpoint,
  formatEndpoint,
  formatLinkAddress,
  type LinkFactory,
  type LinkOpening,
  type LinkSocket,
  type OpenedLink,
} from '@openvpnd/external-mux';
import type { Say } from './host/interface.js';
import type { SignalInfo } from './host/signals.js';
import type { Run } from './run.js';
import { socketBinding } from './socket-binding.js';

/** A link to a server, or the signal that ends the attempt. */
export type ClientLink = ({ readonly ok: true } & OpenedLink) | { readonly ok: false; readonly info: SignalInfo };

/**
 * Opens the link to one address of a server, whatever the transport, for as long as --connect-timeout allows or until a signal comes, and tells the
 * log as OpenVPN does. OpenVPN: link_socket_init_phase1(), link_socket_init_phase2().
 *
 * @throws ResolveError when `local` cannot be resolved; what the factory says of an address that cannot be bound
 */
export async function openClientLink(
  run: Run,
  entry: ConnectionEntry,
  factory: LinkFactory,
  remote: Endpoint,
): Promise<ClientLink> {
  const say: Say = (line) => run.log.say(1, line);
  const stream = factory.protocol === 'tcp';
  const { local, port } = await socketBinding(entry, remote.family);
  const bound = local ?? (port === undefined ? undefined : wildcard(remote.family, port));
  if (stream) say(`Attempting to establish TCP connection with ${formatEndpoint(remote)}`);
  const result = await connect(run, entry, factory, { remote, ...(bound === undefined ? {} : { local: bound }) });
  if (result === undefined) {
    const info = run.inbox.take() ?? { signal: 'SIGUSR1', source: 'soft', text: 'connection-failed' };
    return { ok: false, info: { ...info, text: info.text || 'init_instance' } };
  }
  if (!result.ok) {
    if (isOwnFault(result.error)) throw result.error;
    say(result.error.message);
    return { ok: false, info: { signal: 'SIGUSR1', source: 'connection failed(soft)', text: 'connection-failed' } };
  }
  if (stream) say(`TCP connection established with ${formatEndpoint(remote)}`);
  describeLink(result.link, `${stream ? 'TCP' : 'UDP'}v${remote.family}${stream ? '_CLIENT' : ''}`, entry, remote, say);
  return result;
}

/** Undefined: a signal came before. */
function connect(
  run: Run,
  entry: ConnectionEntry,
  factory: LinkFactory,
  where: { readonly remote: Endpoint; readonly local?: Endpoint },
): Promise<LinkOpening | undefined> {
  const { inbox } = run;
  return new Promise((resolve) => {
    const attempt = factory.connect(where, finish);
    const timer = setTimeout(
      () => finish({ ok: false, error: connectError(where.remote, 'ETIMEDOUT') }),
      entry.connectTimeoutSeconds * 1000,
    );
    inbox.listen(() => finish(undefined));
    function finish(outcome: LinkOpening | undefined): void {
      clearTimeout(timer);
      inbox.listen(undefined);
      attempt.cancel();
      resolve(outcome);
    }
  });
}

function describeLink(link: LinkSocket, name: string, entry: ConnectionEntry, remote: Endpoint, say: Say): void {
  const buffers = link.bufferBytes?.();
  if (buffers !== undefined) {
    const { receive, send } = buffers;
    say(`Socket Buffers: R=[${receive}->${receive}] S=[${send}->${send}]`);
  }
  say(
    entry.bind
      ? `${name} link local (bound): ${formatLinkAddress(link.localAddress())}`
      : `${name} link local: (not bound)`,
  );
  say(`${name} link remote: ${formatEndpoint(remote)}`);
}

/** An address of ours that cannot be had: no other address of the server would make it better. */
function isOwnFault(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return code === 'ERR_LINK_BIND' || code === 'ERR_LINK_OPEN';
}

function wildcard(family: 4 | 6, port: number): Endpoint {
  return { family, address: family === 4 ? '0.0.0.0' : '::', port };
}
