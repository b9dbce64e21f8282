import { Socket } from 'node:net';
import { type Endpoint, linkAddress } from '../endpoint.js';
import { bindError, connectError } from '../link-error.js';
import type { LinkConnectOptions, PendingLink } from '../link-factory.js';
import { HostText } from './host-text.js';

/** Options of the sockets that {@link dialTcp} opens. */
export interface TcpDialOptions {
  /** `--tcp-nodelay`, `--socket-flags TCP_NODELAY`. */
  readonly noDelay?: boolean;
  /**
   * Opens the socket in place of node:net, which cannot set all that a socket has: gives a descriptor, bound if `local` is there. What it throws is told as it is.
   */
  readonly openSocket?: (place: StreamSocketPlace) => number;
}

/** Where a socket of {@link TcpDialOptions.openSocket} stands. */
export interface StreamSocketPlace {
  readonly family: 4 | 6;
  readonly local: Endpoint | undefined;
  readonly ipv6Only: boolean;
}

/** What became of {@link dialTcp}. The socket is the caller's, and nobody listens to it. */
export type TcpDialling =
  | { readonly ok: true; readonly socket: Socket }
  | { readonly ok: false; readonly error: Error };

/** Connects to an address. `dialled` is called once, later, unless it is cancelled. */
export function dialTcp(
  options: TcpDialOptions,
  { remote, local }: LinkConnectOptions,
  dialled: (result: TcpDialling) => void,
): PendingLink {
  let over = false;
  const { openSocket } = options;
  let socket: Socket;
  try {
    socket =
      openSocket === undefined
        ? new Socket()
        : // Nothing can be read before it is connected.
          new Socket({ fd: openSocket({ family: remote.family, local, ipv6Only: true }), manualStart: true } as object);
  } catch (error) {
    setImmediate(() => {
      if (!over) dialled({ ok: false, error: error as Error });
    });
    return { cancel: () => (over = true) };
  }
  socket.connect({
    host: hostText(remote),
    port: remote.port,
    family: remote.family,
    noDelay: options.noDelay ?? false,
    ...(local === undefined || openSocket !== undefined
      ? {}
      : { localAddress: hostText(local), localPort: local.port }),
    // Hosts are numeric here.
    lookup: (host, settings, done) =>
      settings.all ? done(null, [{ address: host, family: remote.family }]) : done(null, host, remote.family),
  });
  const failed = (error: NodeJS.ErrnoException): void => {
    if (over) return;
    over = true;
    const code = error.code ?? 'unknown';
    const bindFailed = error.syscall === 'bind' && local !== undefined;
    dialled({ ok: false, error: bindFailed ? bindError(local, code, error) : connectError(remote, code, error) });
  };
  socket.once('error', failed);
  socket.once('connect', () => {
    if (over) return;
    over = true;
    socket.off('error', failed);
    dialled({ ok: true, socket });
  });
  return {
    cancel: () => {
      if (over) return;
      over = true;
      socket.destroy();
    },
  };
}

/** An address as node's sockets take it. */
export function hostText(endpoint: Endpoint): string {
  return new HostText({ isIpv6Socket: endpoint.family === 6 }).textOf(linkAddress(endpoint)) ?? endpoint.address;
}
