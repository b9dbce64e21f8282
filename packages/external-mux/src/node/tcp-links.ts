import { createServer, type Server, type Socket } from 'node:net';
import { ADDRESS_WORDS, type LinkAddress } from '@openvpnd/memory';
import { type Endpoint, linkAddress } from '../endpoint.js';
import { bindError } from '../link-error.js';
import type {
  LinkConnectOptions,
  LinkFactory,
  LinkListener,
  LinkListenOptions,
  LinkOpening,
  ListenWatcher,
  PendingLink,
} from '../link-factory.js';
import type { BufferSizes } from '../ports.js';
import { parseHost, withPort } from './host-text.js';
import { dialTcp, hostText, type StreamSocketPlace } from './tcp-dial.js';
import { type TcpLink, TcpSocketLink } from './tcp-link.js';

/**
 * Connections that the system completes before we have taken them. OpenVPN has 32; libuv takes one a turn of its loop, and whoever finds the
 * queue full is kept waiting for a second.
 */
export const LISTEN_BACKLOG = 512;
/** How long nobody is let in when there was no room. */
const CROWDED_PAUSE_MS = 1000;

/** What the links of {@link tcpLinks} have in common. */
export interface TcpLinkOptions {
  /** Gives an id that no open link has. */
  readonly nextId: () => number;
  /** 1 … 65535: the largest packet that is taken; a longer one ends the connection. What a driver has rows for. */
  readonly maxPacketBytes: number;
  /** `--tcp-queue-limit`: data packets that wait for a full connection. */
  readonly queuePackets: number;
  /**
   * What a full queue does. `drop`: loses data packets, so that one stalled peer of a server holds up nobody else. `refuse`: the link is full, and
   * its driver waits.
   */
  readonly whenFull: 'drop' | 'refuse';
  /** `--tcp-nodelay`, `--socket-flags TCP_NODELAY`. */
  readonly noDelay?: boolean;
  /** Connections that may be open at once; more are closed as soon as they come. */
  readonly maxConnections?: number;
  /**
   * Opens the sockets in place of node:net, which cannot set all that a socket has: gives a descriptor, to be owned by the links. A listening one is
   * bound to `local`; for a connection it is bound if `local` is there. What it throws is told as it is, with its `systemCode`.
   */
  readonly openSocket?: (place: StreamSocketPlace) => number;
  /**
   * `--port-share`: a listener hands over every connection whose first bytes are not OpenVPN's, with these bytes, and nobody listens to it any more. It may stand half open.
   */
  readonly divert?: (socket: Socket, first: Uint8Array) => void;
  /** Sets the buffers of a connection by its descriptor, as node:net cannot. */
  readonly resizeBuffers?: (descriptor: number, sizes: BufferSizes) => void;
}

/** TCP on node:net, portable. Each packet has its length in front. */
export function tcpLinks(options: TcpLinkOptions): LinkFactory {
  return {
    protocol: 'tcp',
    connect: (where, opened) => connect(options, where, opened),
    listen: (where, watcher) => new TcpListener(options, where, watcher),
  };
}

function connect(
  options: TcpLinkOptions,
  where: LinkConnectOptions,
  opened: (result: LinkOpening) => void,
): PendingLink {
  return dialTcp(options, where, (result) =>
    opened(result.ok ? { ok: true, ...makeLink(options, result.socket, linkAddress(where.remote)) } : result),
  );
}

/** Words of an end of a connection, with link 0. */
function wordsOf(address: string | undefined, port: number | undefined): LinkAddress {
  return withPort(parseHost(address ?? '') ?? new Uint32Array(ADDRESS_WORDS), port ?? 0);
}

function makeLink(
  options: TcpLinkOptions,
  socket: Socket,
  remote: LinkAddress,
  divert?: (first: Uint8Array) => void,
): { readonly link: TcpLink; readonly remote: LinkAddress } {
  const local = wordsOf(socket.localAddress, socket.localPort);
  const { maxPacketBytes, queuePackets, whenFull, resizeBuffers } = options;
  const id = options.nextId();
  const settings = { id, stream: socket, local, remote, maxPacketBytes, queuePackets, whenFull };
  const link = new TcpSocketLink({ ...settings, ...(resizeBuffers && { resizeBuffers }), ...(divert && { divert }) });
  return { link, remote: remote.slice() };
}

class TcpListener implements LinkListener {
  readonly #options: TcpLinkOptions;
  readonly #watcher: ListenWatcher;
  readonly #ipv6Only: boolean;
  readonly #backlog: number;
  #local: Endpoint;
  #server: Server;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #listening = false;

  constructor(options: TcpLinkOptions, where: LinkListenOptions, watcher: ListenWatcher) {
    this.#options = options;
    this.#watcher = watcher;
    this.#ipv6Only = where.ipv6Only ?? false;
    this.#backlog = where.backlog ?? LISTEN_BACKLOG;
    const port = where.port ?? 0;
    const ipv4: Endpoint = { family: 4, address: '0.0.0.0', port };
    const mayFallBack = where.local === undefined && where.family === undefined;
    this.#local = where.local ?? (where.family === 4 ? ipv4 : { family: 6, address: '::', port });
    this.#server = this.#open((code) => {
      if (!mayFallBack || (code !== 'EAFNOSUPPORT' && code !== 'EADDRNOTAVAIL')) return false;
      this.#local = ipv4;
      this.#server = this.#open(() => false);
      return true;
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#server.close();
  }

  #open(recover: (systemCode: string) => boolean): Server {
    const local = this.#local;
    const { noDelay = false, divert } = this.#options;
    const server = createServer({ noDelay, allowHalfOpen: divert !== undefined });
    if (this.#options.maxConnections !== undefined) server.maxConnections = this.#options.maxConnections;
    server.on('connection', (socket) => this.#accept(socket));
    server.on('drop', () => this.#watcher.crowded(new Error('too many connections')));
    const refused = (error: NodeJS.ErrnoException & { readonly systemCode?: string }): void => {
      if (this.#closed || this.#server !== server) return;
      const code = error.systemCode ?? error.code ?? 'unknown';
      if (server.listening) this.#crowd(server, error);
      else if (!recover(code)) {
        this.close();
        this.#watcher.failed(error.systemCode === undefined ? bindError(local, code, error) : error);
      }
    };
    server.on('error', refused);
    server.on('listening', () => {
      const address = server.address();
      if (this.#closed || address === null || typeof address === 'string') return;
      // Once it is found, the port is kept.
      this.#local = { ...local, port: address.port };
      if (this.#listening) return;
      this.#listening = true;
      this.#watcher.listening(linkAddress(this.#local));
    });
    const ipv6Only = local.family === 6 && this.#ipv6Only;
    const { openSocket } = this.#options;
    if (openSocket === undefined) {
      server.listen({ host: hostText(local), port: local.port, ipv6Only, backlog: this.#backlog, exclusive: true });
      return server;
    }
    try {
      server.listen({ fd: openSocket({ family: local.family, local, ipv6Only }), backlog: this.#backlog });
    } catch (error) {
      setImmediate(() => refused(error as NodeJS.ErrnoException));
    }
    return server;
  }

  #accept(socket: Socket): void {
    // Gone already, or we are.
    if (this.#closed || socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const { divert } = this.#options;
    const words = wordsOf(socket.remoteAddress, socket.remotePort);
    const { link, remote } = makeLink(this.#options, socket, words, divert && ((first) => divert(socket, first)));
    this.#watcher.link(link, remote);
  }

  /** Accepting failed, and would fail again at once for as long as somebody waits: nobody waits while we do not listen. */
  #crowd(server: Server, error: Error): void {
    server.close();
    this.#watcher.crowded(error);
    this.#timer = setTimeout(() => {
      this.#server = this.#open((code) => {
        this.#crowd(this.#server, Object.assign(new Error(code), { code }));
        return true;
      });
    }, CROWDED_PAUSE_MS);
  }
}
