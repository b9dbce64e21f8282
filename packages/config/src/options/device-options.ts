import type { Origin } from '../statement.js';

/** How addresses are laid out on the device. */
export type Topology = 'net30' | 'p2p' | 'subnet';

/** `ifconfig`: dotted quads. The second is the netmask with topology subnet, otherwise the remote address. */
export interface Ifconfig {
  readonly local: string;
  readonly remoteOrNetmask: string;
}

/** `ifconfig-ipv6`. */
export interface IfconfigIpv6 {
  readonly local: string;
  /** 0 to 128. */
  readonly bits: number;
  readonly remote: string;
}

/** Options of the device. */
export interface DeviceOptions {
  /** `dev`: `tun` for the next free one, `tun3`, or any name. */
  readonly name: string;
  readonly type: 'tun';
  /** `dev-node`. */
  readonly node: string | undefined;
  /** `txqueuelen`: packets that the device keeps for us; undefined leaves the system's. */
  readonly txQueueLength: number | undefined;
  readonly topology: Topology;
  readonly ifconfig: Ifconfig | undefined;
  readonly ifconfigIpv6: IfconfigIpv6 | undefined;
  /** `ifconfig-noexec`. */
  readonly ifconfigNoexec: boolean;
  /** `ifconfig-nowarn`. */
  readonly ifconfigNowarn: boolean;
}

/** An IPv4 route. Network and gateway are dotted quads or `vpn_gateway`, `net_gateway`, `remote_host`. */
export interface Route {
  readonly network: string;
  readonly netmask: string;
  /** Undefined: the default gateway of routes. */
  readonly gateway: string | undefined;
  /** Undefined: the default metric of routes. */
  readonly metric: number | undefined;
  readonly origin: Origin;
}

/** An IPv6 route. */
export interface RouteIpv6 {
  /** The network's address, host bits cleared. */
  readonly network: string;
  readonly bits: number;
  readonly gateway: string | undefined;
  readonly metric: number | undefined;
  readonly origin: Origin;
}

/** `redirect-gateway` and `redirect-private` with the flags of all their occurrences together. */
export interface RedirectGateway {
  /** Whether the default route itself is redirected; false for `redirect-private`. */
  readonly reroute: boolean;
  /** False with `!ipv4`. */
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  readonly local: boolean;
  readonly autolocal: boolean;
  readonly def1: boolean;
  readonly bypassDhcp: boolean;
  readonly bypassDns: boolean;
  readonly blockLocal: boolean;
}

/** Options of routes. */
export interface RouteOptions {
  /** `allow-recursive-routing`: packets of our own transport that come from the device are not dropped. */
  readonly allowRecursive: boolean;
  readonly routes: readonly Route[];
  readonly routesIpv6: readonly RouteIpv6[];
  /** `route-gateway`: an address or `dhcp`. */
  readonly gateway: string | undefined;
  /** `route-ipv6-gateway`. */
  readonly gatewayIpv6: string | undefined;
  /** `route-metric`. */
  readonly metric: number | undefined;
  /** `route-delay`; undefined: routes are added with the device. */
  readonly delay: { readonly seconds: number; readonly windowSeconds: number } | undefined;
  /** `route-noexec`. */
  readonly noexec: boolean;
  readonly redirect: RedirectGateway | undefined;
}

/** One `dhcp-option`. */
export interface DhcpOption {
  readonly type: string;
  readonly value: string | undefined;
}

/** DNS settings as written; who applies them interprets them. */
export interface DnsOptions {
  readonly dhcpOptions: readonly DhcpOption[];
  /** The parameters of each `dns`. */
  readonly settings: readonly (readonly string[])[];
}
