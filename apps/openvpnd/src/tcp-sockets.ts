import type { ConnectionEntry } from '@openvpnd/config';
import {
  connectError,
  type Endpoint,
  formatLinkAddress,
  type LinkFactory,
  type LinkListener,
  type LinkOpening,
  linkAddress,
  type OpenedLink,
} from '@openvpnd/external-mux';
import { tcpLinks } from '@openvpnd/external-mux/node';
import { MAX_SILENT_CONNECTIONS } from './compose-server.js';
import type { ResolvedAddress } from './host/resolve.js';
import type { SignalInfo } from './host/signals.js';
import type { Run } from './run.js';
import type { ServerTunnel } from './server-tunnel.js';
import { socketBinding } from './socket-binding.js';
import type { TunnelDriver } from './tunnel-driver.js';
import { tunnelVector } from './tunnel-vector.js';

/** The id of the first link. */
const FIRST_LINK_ID = 1;

/** A connection to a server, or why there is none. */
export type TcpConnection = ({ readonly ok: true } & OpenedLink) | { readonly ok: false; readonly info: SignalInfo };

/**
 * Connects to a server, for as long as --connect-timeout allows or until a signal comes, and tells the log as OpenVPN does.
 * OpenVPN: link_socket_init_phase2(), openvpn_connect().
 *
 * @throws ResolveError when `local` cannot be resolved
 */
export async function connectTcp(
  run: Run,
  entry: ConnectionEntry,
  remote: ResolvedAddress & { readonly port: number },
): Promise<TcpConnection> {
  const { inbox } = run;
  const say = (line: string): void => run.log.say(1, line);
  const { local, port } = await socketBinding(entry, remote.family);
  const bound = local ?? (port === undefined ? undefined : wildcard(remote.family, port));
  const factory = links(run, entry, 'refuse');
  const to = formatLinkAddress(linkAddress(remote));
  say(`Attempting to establish TCP connection with ${to}`);
  const result = await new Promise<LinkOpening | undefined>((resolve) => {
    const attempt = factory.connect({ remote, ...(bound === undefined ? {} : { local: bound }) }, finish);
    const timer = setTimeout(
      () => finish({ ok: false, error: connectError(remote, 'ETIMEDOUT') }),
      entry.connectTimeoutSeconds * 1000,
    );
    inbox.listen(() => finish(undefined));
    function finish(outcome: LinkOpening | undefined): void {
      clearTimeout(timer);
      inbox.listen(undefined);
      attempt?.cancel();
      resolve(outcome);
    }
  });
  if (result === undefined) {
    const info = inbox.take() ?? { signal: 'SIGUSR1', source: 'soft', text: 'connection-failed' };
    return { ok: false, info: { ...info, text: info.text || 'init_instance' } };
  }
  if (!result.ok) {
    say(result.error.message);
    return { ok: false, info: { signal: 'SIGUSR1', source: 'connection failed(soft)', text: 'connection-failed' } };
  }
  say(`TCP connection established with ${to}`);
  const name = remote.family === 6 ? 'TCPv6_CLIENT' : 'TCPv4_CLIENT';
  say(
    entry.bind
      ? `${name} link local (bound): ${formatLinkAddress(result.link.localAddress())}`
      : `${name} link local: (not bound)`,
  );
  say(`${name} link remote: ${to}`);
  return result;
}

/**
 * Listens for clients and hands each connection to driver and tunnel.
 *
 * @throws LinkError, ResolveError with OpenVPN's message
 */
export async function listenTcp(
  run: Run,
  entry: ConnectionEntry,
  driver: TunnelDriver,
  tunnel: ServerTunnel,
): Promise<LinkListener> {
  const say = (line: string): void => run.log.say(1, line);
  const { family } = entry.protocol;
  const binding = await socketBinding(entry, family);
  const factory = links(run, entry, 'drop');
  return await new Promise<LinkListener>((resolve, reject) => {
    const listener = factory.listen(
      { ...binding, ipv6Only: entry.bindIpv6Only },
      {
        listening: (local) => {
          const at = formatLinkAddress(local);
          const name = family === 4 || binding.local?.family === 4 ? 'TCPv4_SERVER' : 'TCPv6_SERVER';
          say(`Listening for incoming TCP connection on ${at}`);
          say(`${name} link local (bound): ${at}`);
          say(`${name} link remote: [AF_UNSPEC]`);
          resolve(listener);
        },
        link: (link, remote) => {
          driver.addLink(link);
          if (remote !== undefined) driver.execute(tunnel.handleConnection(run.clock.now(), remote));
        },
        crowded: (error) => run.log.events(() => '').warn('server.crowded', { reason: error.message }),
        failed: reject,
      },
    );
  });
}

/** `refuse` where there is one peer alone, so that its tunnel slows down with it; `drop` where it would slow down others. */
function links(run: Run, entry: ConnectionEntry, whenFull: 'refuse' | 'drop'): LinkFactory {
  const { link, server } = run.options;
  let id = FIRST_LINK_ID;
  return tcpLinks({
    nextId: () => id++,
    maxPacketBytes: tunnelVector(entry.tunMtu).packetBytes,
    queuePackets: link.tcpQueueLimit,
    whenFull,
    noDelay: link.tcpNoDelay,
    ...(server === undefined ? {} : { maxConnections: server.maxClients + MAX_SILENT_CONNECTIONS }),
  });
}

function wildcard(family: 4 | 6, port: number): Endpoint {
  return { family, address: family === 4 ? '0.0.0.0' : '::', port };
}
