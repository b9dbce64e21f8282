import type { Draft, Handlers } from '../draft.js';
import { parseInteger } from '../integer.js';
import { formatIpv4, netmaskBits, parseIpv4 } from '../ipv4.js';
import { formatIpv6, ipv6Network, parseIpv6, parseIpv6Prefix } from '../ipv6.js';
import type { RedirectGateway } from '../options/device-options.js';
import type { Statement } from '../statement.js';
import { numberAt, textAt } from './read-parameters.js';

const NO_REDIRECT: RedirectGateway = {
  reroute: false,
  ipv4: true,
  ipv6: false,
  local: false,
  autolocal: false,
  def1: false,
  bypassDhcp: false,
  bypassDns: false,
  blockLocal: false,
};

/** The canonical text of an address that the option table has checked; keywords stay. */
function ipv4At(statement: Statement, index: number): string {
  const text = textAt(statement, index);
  const value = parseIpv4(text);
  return value === undefined ? text : formatIpv4(value);
}

function ipv6At(statement: Statement, index: number): string {
  const text = textAt(statement, index);
  const value = parseIpv6(text);
  return value === undefined ? text : formatIpv6(value);
}

/** A parameter, or undefined when it is missing or the word `default`. */
function unlessDefault(text: string | undefined): string | undefined {
  return text === 'default' ? undefined : text;
}

function metricOf(option: string, text: string | undefined): { metric?: number; reason?: string } {
  const given = unlessDefault(text);
  if (given === undefined) return {};
  const metric = parseInteger(given, `${option} metric`, 0, 0x7fff_ffff);
  return metric.ok ? { metric: metric.value } : { reason: metric.reason };
}

function redirect(draft: Draft, statement: Statement, reroute: boolean): undefined {
  if (draft.redirect !== undefined) {
    draft.warnings.push(
      'WARNING: You have specified redirect-gateway and redirect-private at the same time (or the same option multiple times). This is not well supported and may lead to unexpected results',
    );
  }
  const before = draft.redirect ?? NO_REDIRECT;
  const flags = new Set(statement.parameters);
  draft.redirect = {
    reroute: before.reroute || reroute,
    ipv4: before.ipv4 && !flags.has('!ipv4'),
    ipv6: before.ipv6 || flags.has('ipv6'),
    local: before.local || flags.has('local'),
    autolocal: before.autolocal || flags.has('autolocal'),
    def1: before.def1 || flags.has('def1'),
    bypassDhcp: before.bypassDhcp || flags.has('bypass-dhcp'),
    bypassDns: before.bypassDns || flags.has('bypass-dns'),
    blockLocal: before.blockLocal || flags.has('block-local'),
  };
  return undefined;
}

/** The forms of `dns`: search domains, or one property of a server with a priority. */
function dnsProblem(parameters: readonly string[]): string | undefined {
  const [kind, priority, property, ...values] = parameters;
  if (kind === 'search-domains' && priority !== undefined) return undefined;
  if (kind !== 'server') {
    return `--dns: unknown option type '${kind ?? ''}' or missing or unknown parameter; allowed: search-domains, server`;
  }
  if (!parseInteger(priority ?? '', '', -128, 127).ok)
    return `--dns server: invalid priority value '${priority ?? ''}'`;
  const known = ['address', 'resolve-domains', 'dnssec', 'transport', 'sni', 'type'];
  return property !== undefined && known.includes(property) && values.length > 0
    ? undefined
    : `--dns server ${priority}: unknown option type '${property ?? ''}' or missing or unknown parameter`;
}

/** Device and addresses. */
export const DEVICE_HANDLERS: Handlers = {
  dev(draft, statement) {
    const name = textAt(statement, 0);
    // The kernel would take a `%` for a pattern, and OpenVPN cuts a long name off in silence.
    if (!/^[^%/\s]{1,15}$/.test(name) || name === '.' || name === '..' || new TextEncoder().encode(name).length > 15) {
      return `--dev: '${name}' is no name of an interface: 1 to 15 bytes without '/', '%' and white space`;
    }
    draft.dev = name;
    return undefined;
  },
  'dev-type'(draft, statement) {
    draft.devType = textAt(statement, 0) === 'tap' ? 'tap' : 'tun';
    return undefined;
  },
  txqueuelen(draft, statement) {
    draft.txQueueLength = numberAt(statement, 0);
    return undefined;
  },
  'dev-node'(draft, statement) {
    const node = textAt(statement, 0);
    if (node.startsWith('unix:')) return `dev-node ${node} is not supported yet`;
    draft.devNode = node;
    return undefined;
  },
  topology(draft, statement) {
    const topology = textAt(statement, 0);
    draft.topology = topology === 'subnet' ? 'subnet' : topology === 'p2p' ? 'p2p' : 'net30';
    return undefined;
  },
  ifconfig(draft, statement) {
    draft.ifconfig = { local: ipv4At(statement, 0), remoteOrNetmask: ipv4At(statement, 1) };
    return undefined;
  },
  'ifconfig-ipv6'(draft, statement) {
    const prefix = parseIpv6Prefix(textAt(statement, 0));
    if (prefix === undefined) return `ifconfig-ipv6 parms '${textAt(statement, 0)}' must be valid addresses`;
    if (prefix.bits < 64 || prefix.bits > 124) {
      return `ifconfig-ipv6: /netbits must be between 64 and 124, not '/${prefix.bits}'`;
    }
    draft.ifconfigIpv6 = { local: formatIpv6(prefix.address), bits: prefix.bits, remote: ipv6At(statement, 1) };
    return undefined;
  },
  'ifconfig-noexec'(draft) {
    draft.ifconfigNoexec = true;
    return undefined;
  },
  'ifconfig-nowarn'(draft) {
    draft.ifconfigNowarn = true;
    return undefined;
  },
};

/** Routes and DNS. */
export const ROUTE_HANDLERS: Handlers = {
  route(draft, statement) {
    const [, netmask, gateway, metricText] = statement.parameters;
    const { metric, reason } = metricOf('route', metricText);
    if (reason !== undefined) return reason;
    draft.routes.push({
      network: ipv4At(statement, 0),
      netmask: unlessDefault(netmask) ?? '255.255.255.255',
      gateway: unlessDefault(gateway),
      metric,
      origin: statement.origin,
    });
    return undefined;
  },
  'route-ipv6'(draft, statement) {
    const prefix = parseIpv6Prefix(textAt(statement, 0));
    const { metric, reason } = metricOf('route-ipv6', statement.parameters[2]);
    if (prefix === undefined || reason !== undefined) return reason ?? 'route-ipv6: bad network';
    draft.routesIpv6.push({
      network: formatIpv6(ipv6Network(prefix)),
      bits: prefix.bits,
      gateway: unlessDefault(statement.parameters[1]) === undefined ? undefined : ipv6At(statement, 1),
      metric,
      origin: statement.origin,
    });
    return undefined;
  },
  'route-gateway'(draft, statement) {
    draft.routeGateway = ipv4At(statement, 0);
    return undefined;
  },
  'route-ipv6-gateway'(draft, statement) {
    draft.routeGatewayIpv6 = ipv6At(statement, 0);
    return undefined;
  },
  'route-metric'(draft, statement) {
    draft.routeMetric = numberAt(statement, 0);
    return undefined;
  },
  'route-delay'(draft, statement) {
    draft.routeDelay = { seconds: numberAt(statement, 0), windowSeconds: numberAt(statement, 1, 30) };
    return undefined;
  },
  'allow-recursive-routing'(draft) {
    draft.allowRecursiveRouting = true;
    return undefined;
  },
  'route-noexec'(draft) {
    draft.routeNoexec = true;
    return undefined;
  },
  'redirect-gateway'(draft, statement) {
    return redirect(draft, statement, true);
  },
  'redirect-private'(draft, statement) {
    return redirect(draft, statement, false);
  },
  'dhcp-option'(draft, statement) {
    draft.dhcpOptions.push({ type: textAt(statement, 0), value: statement.parameters[1] });
    return undefined;
  },
  dns(draft, statement) {
    const problem = dnsProblem(statement.parameters);
    if (problem === undefined) draft.dnsSettings.push(statement.parameters);
    return problem;
  },
  iroute(draft, statement) {
    const network = parseIpv4(textAt(statement, 0)) ?? 0;
    const netmask = parseIpv4(statement.parameters[1] ?? '255.255.255.255') ?? 0;
    if (netmaskBits(netmask) === undefined || (network & ~netmask) !== 0) {
      return `in --iroute ${statement.parameters.join(' ')} : Bad network/subnet specification`;
    }
    draft.iroutes.push({ network: formatIpv4(network), netmask: formatIpv4(netmask) });
    return undefined;
  },
  'iroute-ipv6'(draft, statement) {
    const text = textAt(statement, 0);
    const prefix = parseIpv6Prefix(text);
    if (prefix === undefined || ipv6Network(prefix) !== prefix.address) {
      return `in --iroute-ipv6 ${text}: Bad IPv6 prefix specification`;
    }
    draft.iroutesIpv6.push({ network: formatIpv6(prefix.address), bits: prefix.bits });
    return undefined;
  },
};
