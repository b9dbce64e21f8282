import type { Handlers } from '../draft.js';
import { formatIpv4, parseIpv4 } from '../ipv4.js';
import { formatIpv6, parseIpv6, parseIpv6Prefix } from '../ipv6.js';
import { numberAt, textAt } from './read-parameters.js';

/** Most addresses of a pool (OpenVPN: IFCONFIG_POOL_MAX). */
const POOL_MAX = 65536;

/** Between two writings of `ifconfig-pool-persist`. */
const POOL_PERSIST_SECONDS = 600;

/** OpenVPN's sentence about a pool that cannot be. Addresses as numbers. */
export function poolProblem(start: number, end: number): string | undefined {
  const [from, to] = [formatIpv4(start), formatIpv4(end)];
  if (start > end) return `--ifconfig-pool start IP [${from}] is greater than end IP [${to}]`;
  if (end - start >= POOL_MAX) {
    return `--ifconfig-pool address range is too large [${from} -> ${to}].  Current maximum is ${POOL_MAX} addresses, as defined by IFCONFIG_POOL_MAX variable.`;
  }
  return undefined;
}

/** Server of many clients. */
export const SERVER_HANDLERS: Handlers = {
  server(draft, statement) {
    draft.server = {
      network: parseIpv4(textAt(statement, 0)) ?? 0,
      netmask: parseIpv4(textAt(statement, 1)) ?? 0,
      pool: statement.parameters[2] !== 'nopool',
    };
    return undefined;
  },
  'server-ipv6'(draft, statement) {
    const prefix = parseIpv6Prefix(textAt(statement, 0));
    if (prefix === undefined) return 'error parsing --server-ipv6 parameter';
    draft.serverIpv6 = { network: prefix.address, bits: prefix.bits };
    return undefined;
  },
  'ifconfig-pool'(draft, statement) {
    const start = parseIpv4(textAt(statement, 0)) ?? 0;
    const end = parseIpv4(textAt(statement, 1)) ?? 0;
    const netmask = statement.parameters[2];
    draft.pool = { start, end, netmask: netmask === undefined ? undefined : parseIpv4(netmask) };
    return poolProblem(start, end);
  },
  'ifconfig-ipv6-pool'(draft, statement) {
    const prefix = parseIpv6Prefix(textAt(statement, 0));
    if (prefix === undefined) return 'error parsing --ifconfig-ipv6-pool parameters';
    draft.poolIpv6 = { start: prefix.address, bits: prefix.bits };
    return undefined;
  },
  'ifconfig-pool-persist'(draft, statement) {
    draft.poolPersist = { path: textAt(statement, 0), seconds: numberAt(statement, 1, POOL_PERSIST_SECONDS) };
    return undefined;
  },
  push(draft, statement) {
    const option = textAt(statement, 0);
    // A comma separates options on the wire.
    if (option.includes(',')) return `PUSH OPTION FAILED (illegal comma (',') in string): '${option}'`;
    draft.push.push(option);
    draft.pushEdits.push({ edit: 'push', option });
    return undefined;
  },
  'push-reset'(draft) {
    draft.pushEdits.push({ edit: 'reset' });
    return undefined;
  },
  'push-remove'(draft, statement) {
    draft.pushEdits.push({ edit: 'remove', prefix: textAt(statement, 0) });
    return undefined;
  },
  'client-config-dir'(draft, statement) {
    draft.clientConfigDir = textAt(statement, 0);
    return undefined;
  },
  'ccd-exclusive'(draft) {
    draft.ccdExclusive = true;
    return undefined;
  },
  'client-to-client'(draft) {
    draft.clientToClient = true;
    return undefined;
  },
  'duplicate-cn'(draft) {
    draft.duplicateCn = true;
    return undefined;
  },
  'max-clients'(draft, statement) {
    draft.entry.maxClients = numberAt(statement, 0);
    return undefined;
  },
  'connect-freq'(draft, statement) {
    draft.entry.connectFreq = { count: numberAt(statement, 0), seconds: numberAt(statement, 1) };
    return undefined;
  },
  'connect-freq-initial'(draft, statement) {
    draft.entry.connectFreqInitial = { count: numberAt(statement, 0), seconds: numberAt(statement, 1) };
    return undefined;
  },
  'ifconfig-push'(draft, statement) {
    draft.ifconfigPush = {
      local: textAt(statement, 0),
      remoteOrNetmask: textAt(statement, 1),
      alias: statement.parameters[2],
    };
    return undefined;
  },
  'ifconfig-ipv6-push'(draft, statement) {
    const prefix = parseIpv6Prefix(textAt(statement, 0));
    if (prefix === undefined) return 'cannot parse --ifconfig-ipv6-push addresses';
    const remote = statement.parameters[1] === undefined ? undefined : parseIpv6(textAt(statement, 1));
    draft.ifconfigIpv6Push = {
      local: formatIpv6(prefix.address),
      bits: prefix.bits,
      remote: remote === undefined ? undefined : formatIpv6(remote),
    };
    return undefined;
  },
  disable(draft) {
    draft.disable = true;
    return undefined;
  },
};

/** Client policy, and what servers push by protocol. */
export const CLIENT_HANDLERS: Handlers = {
  'route-nopull'(draft) {
    draft.routeNopull = true;
    return undefined;
  },
  'pull-filter'(draft, statement) {
    const action = textAt(statement, 0);
    draft.pullFilters.push({
      action: action === 'reject' ? 'reject' : action === 'ignore' ? 'ignore' : 'accept',
      text: textAt(statement, 1),
    });
    return undefined;
  },
  'peer-id'(draft, statement) {
    draft.peerId = numberAt(statement, 0);
    return undefined;
  },
  'auth-token'(draft, statement) {
    draft.authToken = textAt(statement, 0);
    return undefined;
  },
  'auth-token-user'(draft, statement) {
    draft.authTokenUser = textAt(statement, 0);
    return undefined;
  },
  'push-continuation'(draft, statement) {
    draft.pushContinuation = numberAt(statement, 0);
    return undefined;
  },
};
