import type { ConnectionEntry, Listener } from '@openvpnd/config';
import type { LinkFactory } from '@openvpnd/external-mux';
import {
  datagramLinks,
  type LinkMakerOptions,
  linkMaker,
  type TcpLinkOptions,
  tcpLinks,
} from '@openvpnd/external-mux/node';
import {
  duplicateSocket,
  MULTIHOME_IDS,
  openTcpSocket,
  openUdpLink,
  type PassedSocket,
  type SocketSettings,
  setSocket,
} from '@openvpnd/packet-io';
import { DataPath } from '../data-path.js';
import type { PortShare } from '../host/port-share.js';
import type { Run } from '../run.js';
import { MAX_SILENT_CONNECTIONS } from '../server/compose-server.js';
import { tunnelVector } from '../tunnel-vector.js';
import type { LinkIds } from './link-ids.js';
import type { ProxyLinks } from './load-proxies.js';
import { type TransportModules, transportLinks } from './transport-modules.js';

/** What links are made with, beside their entry. */
export interface LinkFactoryOptions {
  readonly run: Pick<Run, 'options' | 'log' | 'random' | 'clock' | 'unixTime'>;
  readonly nextId: LinkIds;
  readonly modules: TransportModules;
  /** There when a connection goes through a proxy. */
  readonly proxies?: ProxyLinks | undefined;
  /** Takes the connections of a server that do not speak OpenVPN, for `--port-share`. */
  readonly portShare?: PortShare;
}

/**
 * What opens the links of a connection entry, by its transport, its proxy or its module, and with the socket options of the configuration. The one place that knows which transports
 * there are: whoever opens a link knows only the port.
 *
 * @param passed a socket that stands open already, to listen at
 * @throws SourceFileError, FatalError when what a proxy or module needs is not there
 */
export function linkFactory(
  { run, nextId, modules, proxies, portShare }: LinkFactoryOptions,
  entry: ConnectionEntry & Partial<Pick<Listener, 'portShare'>>,
  passed?: PassedSocket,
): LinkFactory {
  const { link, server } = run.options;
  const settings = socketSettings(entry);
  const limits: LinkMakerOptions = {
    nextId,
    maxPacketBytes: tunnelVector(entry.tunMtu).packetBytes,
    queuePackets: link.tcpQueueLimit,
    // With one peer alone the tunnel slows down with it; where there are many, one must not slow down the others.
    whenFull: server === undefined ? 'refuse' : 'drop',
    noDelay: entry.socket.noDelay,
    resizeBuffers: setSocket,
    ...streamSockets(settings, passed),
  };
  const { proxy } = entry;
  if (proxy !== undefined) {
    if (proxies === undefined) throw new TypeError('what speaks to proxies was not loaded');
    const datagrams = datagramLinks({ nextId, open: (where) => openUdpLink({ ...where, ...settings }) });
    return proxies({ run, entry, proxy, links: linkMaker(limits), datagrams });
  }
  const role = server === undefined ? 'client' : 'server';
  const say = (line: string): void => run.log.say(1, line);
  const carried = transportLinks({ modules, entry, role, links: linkMaker(limits), say });
  if (carried !== undefined) return carried;
  if (entry.protocol.transport === 'udp') {
    const open = passed === undefined ? settings : { ...settings, descriptor: passed.fd };
    const { udp: offload } = new DataPath(run.options);
    // Who has a peer to go to is asked by nobody.
    const multihome = entry.remote === undefined ? entry.socket.multihome : undefined;
    return datagramLinks({
      nextId: () => nextId(multihome === undefined ? 1 : MULTIHOME_IDS),
      open: (where) => openUdpLink({ ...where, ...open, offload, ...(multihome && { multihome }) }),
    });
  }
  const shared = entry.portShare;
  return tcpLinks({
    ...limits,
    ...(shared !== undefined && portShare !== undefined
      ? { divert: (socket, first) => portShare.take(shared, socket, first) }
      : {}),
    ...(server === undefined ? {} : { maxConnections: server.maxClients + MAX_SILENT_CONNECTIONS }),
  });
}

/** What node:net cannot do for itself: settings, and sockets from elsewhere. */
function streamSockets(settings: SocketSettings, passed: PassedSocket | undefined): Pick<TcpLinkOptions, 'openSocket'> {
  if (passed !== undefined) {
    return {
      openSocket: () => {
        const fd = duplicateSocket(passed.fd);
        setSocket(fd, settings);
        return fd;
      },
    };
  }
  if (Object.keys(settings).length === 0) return {};
  return {
    openSocket: ({ family, local, ipv6Only }) =>
      openTcpSocket({ ...settings, family, ipv6Only, ...(local === undefined ? {} : { local }) }),
  };
}

function socketSettings({ socket }: ConnectionEntry): SocketSettings {
  const { sendBufferBytes, receiveBufferBytes, mark, bindDevice, mtuDiscovery } = socket;
  return {
    ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
    ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
    ...(mark === undefined ? {} : { mark }),
    ...(bindDevice === undefined ? {} : { bindDevice }),
    ...(mtuDiscovery === undefined ? {} : { mtuDiscovery }),
  };
}
