import ipaddr from 'ipaddr.js';
import type { InterfaceSettings } from '../host/interface.js';
import type { Gateway, HostRoute } from '../host/routes.js';

/** One `--route`, with the defaults still open. `gateway` may be a keyword. */
export interface PlannedRoute {
  readonly network: string;
  /** Netmask in dots; host route when absent. */
  readonly netmask?: string;
  readonly gateway?: string;
  readonly metric?: number;
}

/** One `--route-ipv6`. */
export interface PlannedIpv6Route {
  readonly network: string;
  readonly prefixBits: number;
  readonly gateway?: string;
  readonly metric?: number;
}

/** Flags of `--redirect-gateway`, or of `--redirect-private` when `private` is set: all but the default route. */
export interface RedirectGateway {
  readonly private: boolean;
  readonly def1: boolean;
  readonly local: boolean;
  readonly autolocal: boolean;
  readonly blockLocal: boolean;
  readonly ipv4: boolean;
  readonly ipv6: boolean;
}

/** All that decides how the interface and the routes of a tunnel look, after what the server pushed. */
export interface TunnelPlanInput {
  readonly topology: 'net30' | 'p2p' | 'subnet';
  readonly ifconfig?: { readonly local: string; readonly remoteOrNetmask: string };
  readonly ifconfigIpv6?: { readonly address: string; readonly prefixBits: number };
  readonly tunMtu: number;
  readonly routes: readonly PlannedRoute[];
  readonly ipv6Routes: readonly PlannedIpv6Route[];
  readonly routeGateway?: string;
  readonly ipv6RouteGateway?: string;
  readonly routeMetric?: number;
  readonly redirectGateway?: RedirectGateway;
}

/** How the system looked before the tunnel: what the routes around the tunnel need. */
export interface SystemRoutes {
  /** The address of the peer outside the tunnel. */
  readonly remoteHost?: { readonly family: 4 | 6; readonly address: string };
  /** How the system reaches the peer. */
  readonly toRemote?: Gateway;
  /** The default gateway, `net_gateway`. */
  readonly defaultGateway?: Gateway;
  readonly defaultIpv6Gateway?: Gateway;
  /** The subnet of the device that leads to the default gateway, for `block-local`. */
  readonly localNetwork?: { readonly network: string; readonly prefixBits: number };
}

export interface RoutePlan {
  readonly routes: readonly HostRoute[];
  /** Families whose default route must be taken away first (redirect-gateway without def1). */
  readonly displaceDefault: readonly (4 | 6)[];
  /** OpenVPN's lines for what cannot be done. */
  readonly warnings: readonly string[];
}

/** The addresses of the interface. OpenVPN: init_tun(), do_ifconfig(). */
export function planInterface(input: TunnelPlanInput): InterfaceSettings {
  const { ifconfig, ifconfigIpv6 } = input;
  let ipv4: InterfaceSettings['ipv4'];
  if (ifconfig !== undefined) {
    ipv4 =
      input.topology === 'subnet'
        ? { kind: 'subnet', address: ifconfig.local, prefixBits: netmaskBits(ifconfig.remoteOrNetmask) }
        : { kind: 'peer', address: ifconfig.local, remote: ifconfig.remoteOrNetmask };
  }
  return {
    mtu: input.tunMtu,
    ...(ipv4 === undefined ? {} : { ipv4 }),
    ...(ifconfigIpv6 === undefined ? {} : { ipv6: ifconfigIpv6 }),
  };
}

/** The far end of the tunnel for routes that name no gateway. OpenVPN: route_list.spec.remote_endpoint. */
function vpnGateway(input: TunnelPlanInput): string | undefined {
  if (input.routeGateway !== undefined) return input.routeGateway;
  return input.topology === 'subnet' ? undefined : input.ifconfig?.remoteOrNetmask;
}

/**
 * The routes into the tunnel and around it, in the order in which they have to be added.
 * OpenVPN: init_route_list(), add_routes(), redirect_default_route_to_vpn().
 */
export function planRoutes(input: TunnelPlanInput, system: SystemRoutes, device: string): RoutePlan {
  const warnings: string[] = [];
  const redirect = planRedirect(input, system, device, warnings);
  const routes: HostRoute[] = [...redirect.routes];
  for (const route of input.routes) {
    const planned = planIpv4Route(route, input, system, warnings);
    if (planned !== undefined) routes.push(planned);
  }
  for (const route of input.ipv6Routes) routes.push(planIpv6Route(route, input, device));
  return { routes, displaceDefault: redirect.displaceDefault, warnings };
}

function planIpv4Route(
  route: PlannedRoute,
  input: TunnelPlanInput,
  system: SystemRoutes,
  warnings: string[],
): HostRoute | undefined {
  const network = keyword(route.network, input, system);
  const gateway = keyword(route.gateway ?? 'vpn_gateway', input, system);
  if (network === undefined || gateway === undefined) {
    warnings.push(
      gateway === undefined && route.gateway === undefined
        ? 'OpenVPN ROUTE: OpenVPN needs a gateway parameter for a --route option and no default was specified by either --route-gateway or --ifconfig options'
        : `OpenVPN ROUTE: failed to parse/resolve route for host/network: ${route.network}`,
    );
    return undefined;
  }
  const metric = route.metric ?? input.routeMetric;
  return {
    family: 4,
    network,
    prefixBits: route.netmask === undefined ? 32 : netmaskBits(route.netmask),
    gateway,
    ...(metric === undefined ? {} : { metric }),
  };
}

/** OpenVPN: get_special_addr(). */
function keyword(word: string, input: TunnelPlanInput, system: SystemRoutes): string | undefined {
  switch (word) {
    case 'vpn_gateway':
    case 'default':
      return vpnGateway(input);
    case 'net_gateway':
      return system.defaultGateway?.gateway;
    case 'remote_host':
      return system.remoteHost?.family === 4 ? system.remoteHost.address : undefined;
    default:
      return word;
  }
}

function planIpv6Route(route: PlannedIpv6Route, input: TunnelPlanInput, device: string): HostRoute {
  const gateway = route.gateway ?? input.ipv6RouteGateway;
  const metric = route.metric ?? input.routeMetric;
  return {
    family: 6,
    network: route.network,
    prefixBits: route.prefixBits,
    device,
    ...(gateway === undefined ? {} : { gateway }),
    ...(metric === undefined ? {} : { metric }),
  };
}

function planRedirect(
  input: TunnelPlanInput,
  system: SystemRoutes,
  device: string,
  warnings: string[],
): { routes: HostRoute[]; displaceDefault: (4 | 6)[] } {
  const routes: HostRoute[] = [];
  const displaceDefault: (4 | 6)[] = [];
  const flags = input.redirectGateway;
  if (flags === undefined) return { routes, displaceDefault };

  const { remoteHost, toRemote } = system;
  const onLink = toRemote !== undefined && toRemote.gateway === undefined;
  const local = flags.local || (flags.autolocal && onLink);
  // The peer itself must stay reachable outside the tunnel, whichever family carries it.
  const bypass = (): void => {
    if (remoteHost === undefined || toRemote?.gateway === undefined || local) return;
    const prefixBits = remoteHost.family === 4 ? 32 : 128;
    routes.push({
      family: remoteHost.family,
      network: remoteHost.address,
      prefixBits,
      gateway: toRemote.gateway,
      device: toRemote.device,
    });
  };

  if (flags.ipv4) {
    const gateway = vpnGateway(input);
    if (gateway === undefined) {
      warnings.push(
        'NOTE: unable to redirect IPv4 default gateway -- VPN gateway parameter (--route-gateway or --ifconfig) is missing',
      );
    } else if (remoteHost?.family === 4 && toRemote === undefined && !local) {
      warnings.push('NOTE: unable to redirect IPv4 default gateway -- Cannot read current default gateway from system');
    } else {
      if (remoteHost?.family === 4) bypass();
      if (flags.blockLocal) routes.push(...blockLocal(system, gateway));
      if (!flags.private) {
        if (flags.def1) {
          routes.push({ family: 4, network: '0.0.0.0', prefixBits: 1, gateway });
          routes.push({ family: 4, network: '128.0.0.0', prefixBits: 1, gateway });
        } else {
          displaceDefault.push(4);
          routes.push({ family: 4, network: '0.0.0.0', prefixBits: 0, gateway });
        }
      }
    }
  }
  if (flags.ipv6) {
    if (remoteHost?.family === 6) bypass();
    if (!flags.private) {
      // Together they cover what IPv6 has assigned, and each beats a default route.
      for (const [network, prefixBits] of IPV6_HALVES) routes.push({ family: 6, network, prefixBits, device });
    }
  }
  return { routes, displaceDefault };
}

/** OpenVPN: add_route_ipv6 list of redirect-gateway ipv6 in init.c. */
const IPV6_HALVES: readonly (readonly [string, number])[] = [
  ['::', 3],
  ['2000::', 4],
  ['3000::', 4],
  ['fc00::', 7],
];

/** Routes that send the local network into the tunnel, except the gateway itself. OpenVPN: add_block_local(). */
function blockLocal(system: SystemRoutes, vpn: string): HostRoute[] {
  const lan = system.localNetwork;
  const gateway = system.defaultGateway;
  if (lan === undefined || gateway?.gateway === undefined || lan.prefixBits >= 32) return [];
  const bytes = ipaddr.IPv4.parse(lan.network).octets.slice();
  const upper = bytes.slice();
  upper[lan.prefixBits >> 3] |= 0x80 >> (lan.prefixBits & 7);
  const prefixBits = lan.prefixBits + 1;
  return [
    { family: 4, network: gateway.gateway, prefixBits: 32, device: gateway.device },
    { family: 4, network: bytes.join('.'), prefixBits, gateway: vpn },
    { family: 4, network: upper.join('.'), prefixBits, gateway: vpn },
  ];
}

/** Number of leading ones of a netmask that was checked before. */
function netmaskBits(netmask: string): number {
  const bits = ipaddr.IPv4.parse(netmask).prefixLengthFromSubnetMask();
  if (bits === null) throw new RangeError(`not a netmask: ${netmask}`);
  return bits;
}
