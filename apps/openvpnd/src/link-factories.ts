import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { LinkFactory } from '@openvpnd/external-mux';
import { datagramLinks, tcpLinks } from '@openvpnd/external-mux/node';
import { openUdpLink } from '@openvpnd/packet-io';
import { MAX_SILENT_CONNECTIONS } from './compose-server.js';
import { tunnelVector } from './tunnel-vector.js';

/**
 * What opens the links of a connection entry, by its transport and with the socket options of the configuration. The one place that knows which transports
 * there are: whoever opens a link knows only the port.
 *
 * @param nextId gives an id that no open link of the process has
 */
export function linkFactory(options: Options, entry: ConnectionEntry, nextId: () => number): LinkFactory {
  const { link, server } = options;
  if (entry.protocol.transport === 'udp') {
    const { sendBufferBytes, receiveBufferBytes } = entry.socket;
    return datagramLinks({
      nextId,
      open: (where) =>
        openUdpLink({
          ...where,
          ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
          ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
        }),
    });
  }
  return tcpLinks({
    nextId,
    maxPacketBytes: tunnelVector(entry.tunMtu).packetBytes,
    queuePackets: link.tcpQueueLimit,
    // With one peer alone the tunnel slows down with it; where there are many, one must not slow down the others.
    whenFull: server === undefined ? 'refuse' : 'drop',
    noDelay: entry.socket.noDelay,
    ...(server === undefined ? {} : { maxConnections: server.maxClients + MAX_SILENT_CONNECTIONS }),
  });
}
