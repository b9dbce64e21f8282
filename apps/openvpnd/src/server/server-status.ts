import { endpointOf } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { Instant } from '@openvpnd/sans-io';
import { localTime } from '../local-time.js';

/** What the status of a server tells of one client. Addresses are text, empty where there are none. */
export interface ClientStatus {
  /** Unknown before it has authenticated. */
  readonly commonName: string | undefined;
  /** With which it was let in; undefined where the server asks for none. */
  readonly username: string | undefined;
  readonly realAddress: string;
  readonly ipv4: string | undefined;
  readonly ipv6: string | undefined;
  /** On the wire, without IP and UDP headers: control channel and data channel. */
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly since: Instant;
  readonly clientId: number;
  readonly peerId: number;
  /** OpenVPN's name of the cipher of the data channel, once there is one. */
  readonly cipher: string | undefined;
  /** `tag` of the listener that it came to. */
  readonly listener: string | undefined;
  readonly routes: readonly { readonly network: string; readonly lastReference: Instant }[];
}

/** The moment of a status, and what it calls the program. */
export interface StatusFrame {
  readonly version: 1 | 2 | 3 | 4;
  /** The first line of --version. */
  readonly title: string;
  /** Unix seconds. */
  readonly now: number;
  /** An instant in Unix seconds. */
  readonly unixTime: (instant: Instant) => number;
}

/** OpenVPN's word for what is not known. */
const UNDEFINED = 'UNDEF';

/** The lines of a server's status in the format of --status-version; 4, of our own, is 3 with the listener of each client. OpenVPN: multi_print_status(). */
export function serverStatus(clients: readonly ClientStatus[], frame: StatusFrame): readonly string[] {
  return frame.version === 1
    ? oldFormat(clients, frame)
    : fieldFormat(clients, frame, frame.version === 2 ? ',' : '\t');
}

/** A transport address as the status shows it: one of IPv6 without its port. OpenVPN: mroute_addr_print(). */
export function statusAddress(address: LinkAddress): string {
  const endpoint = endpointOf(address);
  if (endpoint === undefined) return UNDEFINED;
  return endpoint.family === 4 ? `${endpoint.address}:${endpoint.port}` : endpoint.address;
}

function oldFormat(clients: readonly ClientStatus[], { now, unixTime }: StatusFrame): readonly string[] {
  const lines = ['OpenVPN CLIENT LIST', `Updated,${localTime(now)}`];
  lines.push('Common Name,Real Address,Bytes Received,Bytes Sent,Connected Since');
  for (const client of clients) {
    const { realAddress, bytesReceived, bytesSent } = client;
    const since = localTime(unixTime(client.since));
    lines.push([nameOf(client), realAddress, bytesReceived, bytesSent, since].join(','));
  }
  lines.push('ROUTING TABLE', 'Virtual Address,Common Name,Real Address,Last Ref');
  for (const client of clients) {
    for (const { network, lastReference } of client.routes) {
      lines.push([network, nameOf(client), client.realAddress, localTime(unixTime(lastReference))].join(','));
    }
  }
  lines.push('GLOBAL STATS', 'Max bcast/mcast queue length,0', 'END');
  return lines;
}

const CLIENT_COLUMNS = [
  'Common Name',
  'Real Address',
  'Virtual Address',
  'Virtual IPv6 Address',
  'Bytes Received',
  'Bytes Sent',
  'Connected Since',
  'Connected Since (time_t)',
  'Username',
  'Client ID',
  'Peer ID',
  'Data Channel Cipher',
];
const ROUTE_COLUMNS = ['Virtual Address', 'Common Name', 'Real Address', 'Last Ref', 'Last Ref (time_t)'];

function fieldFormat(
  clients: readonly ClientStatus[],
  { title, now, unixTime, version }: StatusFrame,
  separator: ',' | '\t',
): readonly string[] {
  const tags = version === 4;
  const rows: (string | number)[][] = [
    ['TITLE', title],
    ['TIME', localTime(now), now],
    ['HEADER', 'CLIENT_LIST', ...CLIENT_COLUMNS, ...(tags ? ['Listener'] : [])],
  ];
  for (const client of clients) {
    const { realAddress, ipv4, ipv6, bytesReceived, bytesSent, clientId, peerId, cipher } = client;
    const since = unixTime(client.since);
    rows.push([
      'CLIENT_LIST',
      nameOf(client),
      realAddress,
      ipv4 ?? '',
      ipv6 ?? '',
      bytesReceived,
      bytesSent,
      localTime(since),
      since,
      printable(client.username),
      clientId,
      peerId,
      cipher ?? '',
      ...(tags ? [client.listener ?? ''] : []),
    ]);
  }
  rows.push(['HEADER', 'ROUTING_TABLE', ...ROUTE_COLUMNS]);
  for (const client of clients) {
    for (const { network, lastReference } of client.routes) {
      const last = unixTime(lastReference);
      rows.push(['ROUTING_TABLE', network, nameOf(client), client.realAddress, localTime(last), last]);
    }
  }
  rows.push(['GLOBAL_STATS', 'Max bcast/mcast queue length', 0], ['GLOBAL_STATS', 'dco_enabled', 0], ['END']);
  return rows.map((row) => row.join(separator));
}

function nameOf(client: ClientStatus): string {
  return printable(client.commonName);
}

/** Names come from clients: one that would break the line loses what breaks it, as OpenVPN's do. */
function printable(name: string | undefined): string {
  return name?.replace(/[^ -~\u0080-\uffff]|,/g, '_') ?? UNDEFINED;
}
