import type { EntryDraft, Handlers, LocalDraft } from '../draft.js';
import { parseInteger } from '../integer.js';
import { isMistypedAddress } from '../mistyped-address.js';
import type { MtuDiscovery } from '../options/connection-entry.js';
import { parsePort } from '../port.js';
import { parseProtocol } from '../protocol.js';
import type { Statement } from '../statement.js';
import { clampedAt, fileSource, numberAt, portAt, textAt } from './read-parameters.js';

/** Smallest and largest control packet that `max-packet-size` may ask for (OpenVPN 2.6). */
const CONTROL_PACKET_MIN = 154;
const CONTROL_PACKET_MAX = 2048;

/** OpenVPN: what an IPv4 packet must pass with. */
const FRAGMENT_MIN = 68;

/** Longest wait between attempts, in seconds. */
const RETRY_LIMIT = 65_535;

/** More than anybody's addresses times ports; each is a socket. */
const MAX_LOCALS = 1024;

function keyDirection(statement: Statement, index: number): 0 | 1 {
  return textAt(statement, index) === '1' ? 1 : 0;
}

/** Options that may stand inside `<connection>` or `<listen>`; outside they are the defaults of every entry. */
export const ENTRY_HANDLERS: Handlers = {
  local(draft, statement) {
    const [host = '', port, proto] = statement.parameters;
    const protocol = proto === undefined ? undefined : parseProtocol(proto);
    if (proto !== undefined && protocol === undefined) {
      return `local: bad protocol associated with host ${host}: '${proto}'`;
    }
    if (isMistypedAddress(host)) return `local: '${host}' is neither an address nor a host name`;
    const local: LocalDraft = {
      host: host === '*' ? undefined : host,
      port: port === undefined ? undefined : parsePort(port),
      protocol,
      origin: statement.origin,
    };
    const { locals = [] } = draft.entry;
    if (locals.length === MAX_LOCALS) return `local: a server listens at ${MAX_LOCALS} places at most`;
    draft.entry.local = local;
    draft.entry.locals = [...locals, local];
    // A local address implies binding, which a client otherwise does not do.
    draft.entry.bind ??= { ipv6Only: false };
    return undefined;
  },
  port(draft, statement) {
    const port = portAt(statement, 0);
    draft.entry.sharedPort = port;
    draft.entry.remotePort = port;
    return undefined;
  },
  lport(draft, statement) {
    draft.entry.localPort = portAt(statement, 0);
    return undefined;
  },
  rport(draft, statement) {
    draft.entry.remotePort = portAt(statement, 0);
    return undefined;
  },
  proto(draft, statement) {
    draft.entry.protocol = parseProtocol(textAt(statement, 0));
    return undefined;
  },
  bind(draft, statement) {
    draft.entry.bind = { ipv6Only: statement.parameters[0] === 'ipv6only' };
    return undefined;
  },
  nobind(draft) {
    draft.entry.nobind = true;
    return undefined;
  },
  float(draft) {
    draft.entry.float = true;
    return undefined;
  },
  'tun-mtu'(draft, statement) {
    draft.entry.tunMtu = numberAt(statement, 0);
    draft.entry.occMtu = statement.parameters[1] === undefined ? undefined : numberAt(statement, 1);
    return undefined;
  },
  'max-packet-size'(draft, statement) {
    const bytes = numberAt(statement, 0);
    const control = Math.min(CONTROL_PACKET_MAX, Math.max(CONTROL_PACKET_MIN, bytes));
    if (control !== bytes) {
      draft.warnings.push(
        `Note: max-packet-size value outside of allowed control channel packet size (${CONTROL_PACKET_MIN} to ${CONTROL_PACKET_MAX}), will use ${control} instead.`,
      );
    }
    draft.entry.maxControlPacketBytes = control;
    draft.entry.mssFix = { bytes, basis: 'outer' };
    return undefined;
  },
  'tun-mtu-max'(draft, statement) {
    draft.entry.tunMtuMax = numberAt(statement, 0);
    return undefined;
  },
  fragment(draft, statement) {
    const bytes = numberAt(statement, 0);
    if (bytes < FRAGMENT_MIN) return `--fragment needs to be at least ${FRAGMENT_MIN}`;
    draft.entry.fragment = { bytes, basis: statement.parameters[1] === undefined ? 'payload' : 'outer' };
    return undefined;
  },
  mssfix(draft, statement) {
    const basis = statement.parameters[1];
    draft.entry.mssFix =
      statement.parameters[0] === undefined
        ? 'default'
        : {
            bytes: numberAt(statement, 0),
            basis: basis === 'mtu' ? 'outer' : basis === 'fixed' ? 'fixed' : 'payload',
          };
    return undefined;
  },
  'connect-race'(draft, statement) {
    draft.entry.raceMs = textAt(statement, 0) === 'off' ? 'off' : numberAt(statement, 0);
    return undefined;
  },
  'connect-retry'(draft, statement) {
    draft.entry.retrySeconds = clampedAt(statement, 0, 0, RETRY_LIMIT);
    if (statement.parameters[1] !== undefined) draft.entry.retryMaxSeconds = clampedAt(statement, 1, 0, RETRY_LIMIT);
    return undefined;
  },
  'connect-retry-max'(draft, statement) {
    draft.connectRetryMax = numberAt(statement, 0);
    return undefined;
  },
  'connect-timeout'(draft, statement) {
    draft.entry.connectTimeoutSeconds = numberAt(statement, 0);
    return undefined;
  },
  'server-poll-timeout'(draft, statement) {
    draft.entry.connectTimeoutSeconds = numberAt(statement, 0);
    return undefined;
  },
  'explicit-exit-notify'(draft, statement) {
    draft.entry.exitNotify = numberAt(statement, 0, 1);
    return undefined;
  },
  'tls-auth'(draft, statement) {
    draft.entry.tlsAuth = fileSource(statement);
    if (statement.parameters[1] !== undefined) draft.entry.keyDirection = keyDirection(statement, 1);
    return undefined;
  },
  'tls-crypt'(draft, statement) {
    draft.entry.tlsCrypt = fileSource(statement);
    return undefined;
  },
  'tls-crypt-v2'(draft, statement) {
    const forceCookie = !statement.inline && statement.parameters[1] === 'force-cookie';
    draft.entry.tlsCryptV2 = { key: fileSource(statement), forceCookie };
    return undefined;
  },
  sndbuf(draft, statement) {
    draft.entry.sendBufferBytes = numberAt(statement, 0);
    return undefined;
  },
  rcvbuf(draft, statement) {
    draft.entry.receiveBufferBytes = numberAt(statement, 0);
    return undefined;
  },
  'socket-flags'(draft, statement) {
    for (const flag of statement.parameters) {
      if (flag === 'TCP_NODELAY') draft.entry.noDelay = true;
      else draft.warnings.push(`unknown socket flag: ${flag}`);
    }
    return undefined;
  },
  mark(draft, statement) {
    draft.entry.mark = numberAt(statement, 0);
    return undefined;
  },
  'bind-dev'(draft, statement) {
    const name = textAt(statement, 0);
    // As the kernel wants it: IFNAMSIZ, and nothing that names a path.
    if (!/^[^\s/]{1,15}$/.test(name))
      return 'bind-dev: a network device has a name of 1 to 15 characters, without / and space';
    draft.entry.bindDevice = name;
    return undefined;
  },
  multihome(draft, statement) {
    draft.entry.multihome = statement.parameters[0] === undefined ? 'any-interface' : 'same-interface';
    return undefined;
  },
  'mtu-disc'(draft, statement) {
    draft.entry.mtuDiscovery = textAt(statement, 0) as MtuDiscovery;
    return undefined;
  },
  tag(draft, statement) {
    const tag = textAt(statement, 0);
    if (!/^[!-+\--~]{1,64}$/.test(tag)) return 'tag: a name has up to 64 visible ASCII characters and no comma';
    draft.entry.tag = tag;
    return undefined;
  },
  'bind-policy'(draft, statement) {
    draft.entry.bindPolicy = textAt(statement, 0) === 'all' ? 'all' : 'any';
    return undefined;
  },
  'listen-backlog'(draft, statement) {
    draft.entry.backlog = numberAt(statement, 0);
    return undefined;
  },
  'key-direction'(draft, statement) {
    draft.entry.keyDirection = keyDirection(statement, 0);
    return undefined;
  },
};

/** Options of the link for all entries. */
export const LINK_HANDLERS: Handlers = {
  'mtu-test'(draft) {
    draft.mtuTest = true;
    return undefined;
  },
  remote(draft, statement) {
    const [host = '', port, protocol] = statement.parameters;
    draft.remotes.push({
      host,
      port: port === undefined ? undefined : parsePort(port),
      protocol: protocol === undefined ? undefined : parseProtocol(protocol),
    });
    return undefined;
  },
  'tcp-nodelay'(draft) {
    draft.tcpNoDelayMacro = true;
    return undefined;
  },
  'tcp-queue-limit'(draft, statement) {
    draft.tcpQueueLimit = numberAt(statement, 0);
    return undefined;
  },
  passtos(draft) {
    draft.passTos = true;
    return undefined;
  },
  'remote-random'(draft) {
    draft.remoteRandom = true;
    return undefined;
  },
  'remote-random-hostname'(draft) {
    draft.remoteRandomHostname = true;
    return undefined;
  },
  'persist-local-ip'(draft) {
    draft.persistLocalIp = true;
    return undefined;
  },
  'persist-remote-ip'(draft) {
    draft.persistRemoteIp = true;
    return undefined;
  },
  'proto-force'(draft, statement) {
    const text = textAt(statement, 0);
    draft.protoForce = parseProtocol(text)?.transport;
    return draft.protoForce === undefined ? `Bad --proto-force protocol: '${text}'` : undefined;
  },
  ipv4(draft) {
    draft.outerFamilies.add(4);
    return undefined;
  },
  ipv6(draft) {
    draft.outerFamilies.add(6);
    return undefined;
  },
  'resolv-retry'(draft, statement) {
    const text = textAt(statement, 0);
    const seconds = parseInteger(text, 'resolv-retry', 0, 1_000_000_000);
    if (text !== 'infinite' && !seconds.ok) return `${seconds.reason}; 'infinite' is allowed too`;
    draft.resolveRetrySeconds = seconds.ok ? seconds.value : Number.POSITIVE_INFINITY;
    return undefined;
  },
  keepalive(draft, statement) {
    draft.keepalive = { interval: numberAt(statement, 0), timeout: numberAt(statement, 1) };
    return undefined;
  },
  ping(draft, statement) {
    draft.pingSeconds = numberAt(statement, 0);
    return undefined;
  },
  'ping-exit'(draft, statement) {
    draft.pingTimeout = { seconds: numberAt(statement, 0), action: 'exit' };
    return undefined;
  },
  'ping-restart'(draft, statement) {
    draft.pingTimeout = { seconds: numberAt(statement, 0), action: 'restart' };
    return undefined;
  },
  inactive(draft, statement) {
    draft.inactive = { seconds: numberAt(statement, 0), bytes: numberAt(statement, 1) };
    return undefined;
  },
  'session-timeout'(draft, statement) {
    draft.sessionTimeoutSeconds = numberAt(statement, 0);
    return undefined;
  },
  'ping-timer-rem'(draft) {
    draft.pingTimerRemote = true;
    return undefined;
  },
  'replay-window'(draft, statement) {
    draft.replayWindow = { packets: numberAt(statement, 0), seconds: numberAt(statement, 1, 15) };
    return undefined;
  },
};

/** A block's own `remote`. */
export function applyBlockRemote(entry: EntryDraft, statement: Statement): void {
  const [host = '', port, protocol] = statement.parameters;
  entry.remote = {
    host,
    port: port === undefined ? undefined : parsePort(port),
    protocol: protocol === undefined ? undefined : parseProtocol(protocol),
  };
}
