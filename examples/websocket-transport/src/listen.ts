import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import {
  bindError,
  type Endpoint,
  type LinkListener,
  type LinkListenOptions,
  type LinkMaker,
  type ListenWatcher,
  linkAddress,
  parseEndpoint,
} from '@openvpnd/external-mux';
import { WebSocketServer } from 'ws';
import { MAX_PACKET_BYTES, WebSocketCarrier } from './carrier.js';

/** What a server is made with. */
export interface WebSocketListenOptions {
  /** Where WebSockets are taken; other requests are answered with 404. */
  readonly path: string;
  readonly links: LinkMaker;
  readonly log: (line: string) => void;
}

/** Waits for WebSockets. TLS is the business of a web server in front. */
export function listenForWebSockets(
  { path, links, log }: WebSocketListenOptions,
  where: LinkListenOptions,
  watcher: ListenWatcher,
): LinkListener {
  const { port = 0, family, ipv6Only = false } = where;
  const local: Endpoint = where.local ?? { family: family ?? 6, address: family === 4 ? '0.0.0.0' : '::', port };
  const server = createServer((_request, response) => response.writeHead(404).end());
  const webSockets = new WebSocketServer({ server, path, perMessageDeflate: false, maxPayload: MAX_PACKET_BYTES });
  let listening = false;
  webSockets.on('connection', (socket, request) => {
    const ends = { remote: endpointOf(request.socket, 'remote'), local: endpointOf(request.socket, 'local') };
    const { link, remote } = links.packets({ ...ends, protocol: 'tcp' }, (feed) => new WebSocketCarrier(socket, feed));
    watcher.link(link, remote);
  });
  webSockets.on('error', (error: NodeJS.ErrnoException) => {
    if (listening) return watcher.crowded(error);
    watcher.failed(bindError(local, error.code ?? 'unknown', error));
  });
  server.on('listening', () => {
    const address = server.address();
    listening = true;
    log(`WebSocket: waiting at ${path}`);
    watcher.listening(linkAddress({ ...local, port: typeof address === 'object' ? (address?.port ?? 0) : 0 }));
  });
  server.listen({
    host: local.address,
    port: local.port,
    ipv6Only: local.family === 6 && ipv6Only,
    backlog: where.backlog,
  });
  return {
    close: () => {
      webSockets.close();
      server.close();
    },
  };
}

function endpointOf(socket: Socket, end: 'local' | 'remote'): Endpoint {
  const [address, port] =
    end === 'local' ? [socket.localAddress, socket.localPort] : [socket.remoteAddress, socket.remotePort];
  const host = (address ?? '').replace(/^::ffff:(?=[0-9.]+$)/, '').replace(/%.*$/, '');
  return parseEndpoint(host, port ?? 0) ?? { family: 4, address: '0.0.0.0', port: 0 };
}
