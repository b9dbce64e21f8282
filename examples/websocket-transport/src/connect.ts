import type { Duplex } from 'node:stream';
import { connect as connectTls } from 'node:tls';
import type { LinkConnectOptions, LinkMaker, LinkOpening, PendingLink } from '@openvpnd/external-mux';
import { WebSocket } from 'ws';
import { MAX_PACKET_BYTES, WebSocketCarrier } from './carrier.js';

/** Connects to a server, first over TCP with the socket options of the configuration, then as the URL says. */
export function connectWebSocket(
  { url, links }: { readonly url: URL; readonly links: LinkMaker },
  where: LinkConnectOptions,
  opened: (result: LinkOpening) => void,
): PendingLink {
  let webSocket: WebSocket | undefined;
  let over = false;
  const finish = (result: LinkOpening): void => {
    if (over) return;
    over = true;
    opened(result);
  };
  const dial = links.dial(where, (dialled) => {
    if (!dialled.ok) return finish(dialled);
    const { ends } = dialled;
    const socket = dialled.stream as unknown as Duplex;
    const secure = url.protocol === 'wss:';
    const open = new WebSocket(url, {
      perMessageDeflate: false,
      maxPayload: MAX_PACKET_BYTES,
      createConnection: () => (secure ? connectTls({ socket, servername: url.hostname }) : socket) as never,
    });
    webSocket = open;
    open.once('error', (error) =>
      finish({ ok: false, error: new Error(`WebSocket: cannot open ${url}: ${error.message}`, { cause: error }) }),
    );
    open.once('open', () => {
      finish({ ok: true, ...links.packets({ ...ends, protocol: 'tcp' }, (feed) => new WebSocketCarrier(open, feed)) });
    });
  });
  return {
    cancel: () => {
      if (over) return;
      over = true;
      dial.cancel();
      webSocket?.terminate();
    },
  };
}
