import type { Draft, EntryDraft, RemoteDraft } from './draft.js';
import type { ConnectionEntry, ControlWrapOptions, MssFix, SharedWrapOptions } from './options/connection-entry.js';
import { DEFAULT_PORT } from './port.js';
import type { Protocol } from './protocol.js';
import { proxyOf } from './proxy-entries.js';

const UDP: Protocol = { transport: 'udp', side: 'unspecified', family: undefined };

/** Defaults of OpenVPN 2.6. */
const TUN_MTU = 1500;
const TUN_MTU_MAX_MIN = 1600;
const MSSFIX_BYTES = 1492;
const CONTROL_PACKET_BYTES = 1250;
const RETRY_SECONDS = 1;
const RETRY_MAX_SECONDS = 300;
const CONNECT_TIMEOUT_SECONDS = 120;
/** RFC 8305: a connection that does not come is noticed soon. */
const TCP_RACE_MS = 250;
/** Only the server's answer tells that a datagram has arrived, and it may be far and busy. */
const UDP_RACE_MS = 2000;

/**
 * The ways to the peer in the order of trying: the `<connection>` blocks, or without any the `remote`s, or without any
 * a single entry that waits. OpenVPN: options_postprocess_mutate_ce().
 */
export function connectionEntries(draft: Draft): ConnectionEntry[] {
  return ways(draft).filter(({ protocol }) => protocol.transport === (draft.protoForce ?? protocol.transport));
}

function ways(draft: Draft): ConnectionEntry[] {
  if (draft.blocks.length > 0) return draft.blocks.map((block) => connectionEntry(draft, block, block.remote));
  if (draft.remotes.length > 0) return draft.remotes.map((remote) => connectionEntry(draft, draft.entry, remote));
  return [connectionEntry(draft, draft.entry, undefined)];
}

/** One entry with the defaults filled in. */
export function connectionEntry(draft: Draft, entry: EntryDraft, remote: RemoteDraft | undefined): ConnectionEntry {
  const tunMtu = entry.tunMtu ?? TUN_MTU;
  const protocol = withFamily(withSide(remote?.protocol ?? entry.protocol ?? UDP, draft), draft);
  const bind = binds(draft, entry, protocol);
  return {
    protocol,
    remote:
      remote === undefined ? undefined : { host: remote.host, port: remote.port ?? entry.remotePort ?? DEFAULT_PORT },
    proxy: proxyOf(draft, entry),
    transport: entry.transport,
    localHost: entry.local?.host,
    localPort: entry.local?.port ?? entry.localPort ?? entry.sharedPort ?? DEFAULT_PORT,
    bind,
    // Who has IPv6 alone takes no IPv4 through an IPv6 socket either.
    bindIpv6Only: (entry.bind?.ipv6Only ?? false) || draft.outerFamilies.has(6),
    float: entry.float ?? false,
    socket: {
      sendBufferBytes: entry.sendBufferBytes || undefined,
      receiveBufferBytes: entry.receiveBufferBytes || undefined,
      noDelay: entry.noDelay ?? false,
      mark: entry.mark,
      bindDevice: entry.bindDevice,
      mtuDiscovery: entry.mtuDiscovery,
      multihome: entry.multihome,
    },
    raceDelayMs: raceDelayMs(draft, entry, protocol, bind),
    retrySeconds: entry.retrySeconds ?? RETRY_SECONDS,
    retryMaxSeconds: entry.retryMaxSeconds ?? RETRY_MAX_SECONDS,
    connectTimeoutSeconds: entry.connectTimeoutSeconds ?? CONNECT_TIMEOUT_SECONDS,
    tunMtu,
    tunMtuMax: Math.max(TUN_MTU_MAX_MIN, entry.tunMtuMax ?? 0, tunMtu),
    fragment: entry.fragment,
    occMtu: entry.occMtu ?? tunMtu,
    mssFix: mssFix(entry, tunMtu),
    maxControlPacketBytes: entry.maxControlPacketBytes ?? CONTROL_PACKET_BYTES,
    exitNotify: exitNotify(draft, entry, protocol),
    controlWrap: controlWrap(draft, entry),
  };
}

/** A bare `tcp` is the client's or the server's side by the role. */
function withSide(protocol: Protocol, draft: Draft): Protocol {
  if (protocol.transport === 'udp' || protocol.side !== 'unspecified') return protocol;
  if (draft.mode === 'server') return { ...protocol, side: 'server' };
  return draft.client ? { ...protocol, side: 'client' } : protocol;
}

/** `ipv4` and `ipv6` count for every socket. */
function withFamily(protocol: Protocol, draft: Draft): Protocol {
  const [family] = draft.outerFamilies;
  return family === undefined ? protocol : { ...protocol, family };
}

/** Who asks for one family, for the address that was, for a port of ours, for a proxy or for a transport, has one socket at a time. Two points on UDP have a port each by nature. */
function raceDelayMs(draft: Draft, entry: EntryDraft, protocol: Protocol, bind: boolean): number | undefined {
  const twoPoints = !draft.pull && protocol.transport === 'udp';
  const carried = entry.httpProxy !== undefined || entry.socksProxy !== undefined || entry.transport !== undefined;
  if (carried) return undefined;
  if (entry.raceMs === 'off' || protocol.family !== undefined || draft.persistRemoteIp || (bind && !twoPoints)) {
    return undefined;
  }
  return entry.raceMs ?? (protocol.transport === 'tcp' ? TCP_RACE_MS : UDP_RACE_MS);
}

/** A client that pulls, or is the connecting side, leaves the port to the system unless something asks for binding. */
function binds(draft: Draft, entry: EntryDraft, protocol: Protocol): boolean {
  if (entry.nobind) return false;
  const asked = entry.bind !== undefined || entry.local !== undefined || entry.localPort !== undefined;
  return asked || !(draft.pull || protocol.side === 'client');
}

/** A stream tells its end by itself. */
function exitNotify(draft: Draft, entry: EntryDraft, protocol: Protocol): number {
  const times = entry.exitNotify ?? 0;
  if (protocol.transport === 'udp' || times === 0) return times;
  const notice = 'NOTICE: --explicit-exit-notify ignored for --proto tcp';
  if (!draft.warnings.includes(notice)) draft.warnings.push(notice);
  return 0;
}

function mssFix(entry: EntryDraft, tunMtu: number): MssFix | undefined {
  const given = entry.mssFix ?? 'default';
  if (given !== 'default') return given.bytes === 0 ? undefined : given;
  if (entry.fragment !== undefined) return entry.fragment;
  // Another MTU shows that its owner has thought about sizes: then the device's MTU is the limit.
  return tunMtu === TUN_MTU ? { bytes: MSSFIX_BYTES, basis: 'outer' } : { bytes: tunMtu, basis: 'fixed' };
}

/** A block without its own wrap takes the global one, wherever in the file that stood. */
function controlWrap(draft: Draft, entry: EntryDraft): ControlWrapOptions {
  const own = (entry.tlsAuth ?? entry.tlsCrypt ?? entry.tlsCryptV2) !== undefined;
  const { tlsCryptV2 } = own ? entry : draft.entry;
  const shared = sharedWrap(draft, entry, own);
  if (tlsCryptV2 === undefined) return shared;
  return { kind: 'tls-crypt-v2', key: tlsCryptV2.key, forceCookie: tlsCryptV2.forceCookie, beside: shared };
}

function sharedWrap(draft: Draft, entry: EntryDraft, own: boolean): SharedWrapOptions {
  const { tlsAuth, tlsCrypt } = own ? entry : draft.entry;
  if (tlsAuth !== undefined) {
    return { kind: 'tls-auth', key: tlsAuth, direction: entry.keyDirection ?? draft.entry.keyDirection };
  }
  return tlsCrypt === undefined ? { kind: 'none' } : { kind: 'tls-crypt', key: tlsCrypt };
}
