import { poolProblem } from './apply/server.js';
import type { Draft } from './draft.js';
import { formatIpv4, netmaskBits } from './ipv4.js';
import { formatIpv6 } from './ipv6.js';
import { COMMAND_LINE, type Origin } from './statement.js';

/** `server` hands out at most a /16 and, with dev tun, at least a /29 (OpenVPN: helper.c). */
const SERVER_MIN_BITS = 16;
const SERVER_MAX_BITS = 29;

/** Pool of a `server-ipv6` network: it leaves the first addresses to servers where there is room for it. */
const IPV6_POOL_OFFSET = 0x1000n;
const IPV6_SMALL_NETWORK_BITS = 112;

/** Seconds after which a client restarts until the server has pushed its own figure (OpenVPN: PRE_PULL_INITIAL_PING_RESTART). */
const PRE_PULL_PING_RESTART = 120;

const NET30_WARNING =
  'WARNING: --topology net30 support for server configs with IPv4 pools will be removed in a future release. Please migrate to --topology subnet as soon as possible.';

/**
 * Expands `client`, `server-ipv6`, `server`, `keepalive` and `tcp-nodelay` into what they stand for, in that order, which decides the
 * order of pushed options. Returns OpenVPN's sentence about what contradicts them. OpenVPN: helper_client_server(),
 * helper_keepalive().
 */
export function expandMacros(draft: Draft): string | undefined {
  const problem = expandServerIpv6(draft) ?? expandServer(draft) ?? expandKeepalive(draft);
  if (problem !== undefined) return problem;
  expandTcpNoDelay(draft);
  if (draft.client) {
    draft.pull = true;
    draft.tlsClient = true;
  }
  if (draft.pull && draft.pingTimeout === undefined) {
    draft.pingTimeout = { seconds: PRE_PULL_PING_RESTART, action: 'restart' };
  }
  return undefined;
}

/** OpenVPN: helper_tcp_nodelay(). */
function expandTcpNoDelay(draft: Draft): void {
  if (draft.tcpNoDelayMacro !== true) return;
  // It is a macro: it counts for the blocks before it too.
  for (const entry of [draft.entry, ...draft.blocks, ...draft.listens]) entry.noDelay = true;
  if (draft.mode === 'server') {
    draft.push.push('socket-flags TCP_NODELAY');
  } else {
    draft.warnings.push(
      'WARNING: setting tcp-nodelay on the client side will not affect the server. To have TCP_NODELAY in both direction use tcp-nodelay in the server configuration instead.',
    );
  }
}

/** The type of the device by `dev-type` or by the beginning of its name. */
export function deviceType(draft: Draft): 'tun' | 'tap' | 'null' | undefined {
  if (draft.dev === undefined) return undefined;
  if (draft.devType !== undefined) return draft.devType;
  if (draft.dev.startsWith('tun')) return 'tun';
  if (draft.dev.startsWith('tap')) return 'tap';
  return draft.dev === 'null' ? 'null' : undefined;
}

function expandServerIpv6(draft: Draft): string | undefined {
  const server = draft.serverIpv6;
  if (server === undefined) return undefined;
  if (draft.client) return '--server-ipv6 and --client cannot be used together';
  if (draft.server?.pool === false) return "--server-ipv6 is incompatible with 'nopool' option";
  if (draft.poolIpv6 !== undefined) {
    return "--server-ipv6 already defines an ifconfig-ipv6-pool, so you can't also specify --ifconfig-pool explicitly";
  }
  draft.mode = 'server';
  draft.tlsServer = true;
  draft.ifconfigIpv6 = {
    local: formatIpv6(server.network + 1n),
    bits: server.bits,
    remote: formatIpv6(server.network + 2n),
  };
  const offset = server.bits < IPV6_SMALL_NETWORK_BITS ? IPV6_POOL_OFFSET : 2n;
  draft.poolIpv6 = { start: server.network + offset, bits: server.bits };
  // Clients before 2.4 need to be told that there is IPv6.
  draft.push.push('tun-ipv6');
  return undefined;
}

function expandServer(draft: Draft): string | undefined {
  const server = draft.server;
  if (server === undefined) return undefined;
  if (draft.client) return '--server and --client cannot be used together';
  if (server.pool && draft.pool !== undefined) {
    return "--server already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly";
  }
  if (deviceType(draft) === 'null' || deviceType(draft) === undefined) {
    return '--server directive only makes sense with --dev tun or --dev tap';
  }
  const { network, netmask } = server;
  const bits = netmaskBits(netmask);
  if (bits === undefined) return '--server directive netmask is invalid';
  if ((network & ~netmask) !== 0) return '--server directive network/netmask combination is invalid';
  if (bits < SERVER_MIN_BITS) {
    return '--server directive netmask allows for too many host addresses (subnet must be 255.255.0.0 (/16) or higher)';
  }
  if (bits > SERVER_MAX_BITS) {
    return '--server directive when used with --dev tun must define a subnet of 255.255.255.248 (/29) or lower';
  }
  draft.mode = 'server';
  draft.tlsServer = true;
  const topology = draft.topology ?? 'net30';
  const broadcast = network + (2 ** (32 - bits) - 1);
  const own = formatIpv4(network + 1);
  if (topology === 'subnet') {
    draft.ifconfig = { local: own, remoteOrNetmask: formatIpv4(netmask) };
    if (server.pool) draft.pool = { start: network + 2, end: broadcast - 1, netmask };
    draft.routeGateway ??= formatIpv4(network + 2);
    draft.push.push(`route-gateway ${own}`);
  } else {
    draft.ifconfig = { local: own, remoteOrNetmask: formatIpv4(network + 2) };
    // The last /30 stays free where there are others.
    const reserve = bits === SERVER_MAX_BITS ? 0 : 4;
    if (server.pool) draft.pool = { start: network + 4, end: broadcast - reserve, netmask: undefined };
    draft.routes.push({
      network: formatIpv4(network),
      netmask: formatIpv4(netmask),
      gateway: undefined,
      metric: undefined,
      origin: originOf(draft, 'server'),
    });
    if (draft.clientToClient) draft.push.push(`route ${formatIpv4(network)} ${formatIpv4(netmask)}`);
    else if (topology === 'net30') draft.push.push(`route ${own}`);
    if (topology === 'net30' && server.pool) draft.warnings.push(NET30_WARNING);
  }
  draft.push.push(`topology ${topology}`);
  return draft.pool === undefined ? undefined : poolProblem(draft.pool.start, draft.pool.end);
}

function expandKeepalive(draft: Draft): string | undefined {
  if (draft.keepalive === undefined) return undefined;
  const { interval, timeout } = draft.keepalive;
  if (interval <= 0 || timeout <= 0) return '--keepalive parameters must be > 0';
  if (interval * 2 > timeout) {
    return `the second parameter to --keepalive (restart timeout=${timeout}) must be at least twice the value of the first parameter (ping interval=${interval}).  A ratio of 1:5 or 1:6 would be even better.  Recommended setting is --keepalive 10 60.`;
  }
  if (draft.pingSeconds !== undefined || draft.pingTimeout !== undefined) {
    return "--keepalive conflicts with --ping, --ping-exit, or --ping-restart.  If you use --keepalive, you don't need any of the other --ping directives.";
  }
  draft.pingSeconds = interval;
  if (draft.mode === 'server') {
    // Twice as long here, so that the client notices first and comes back by itself.
    draft.pingTimeout = { seconds: timeout * 2, action: 'restart' };
    draft.push.push(`ping ${interval}`, `ping-restart ${timeout}`);
  } else {
    draft.pingTimeout = { seconds: timeout, action: 'restart' };
  }
  return undefined;
}

/** Where an option stood. */
function originOf(draft: Draft, option: string): Origin {
  return draft.seen.get(option) ?? { file: COMMAND_LINE, line: 1 };
}
