import { describe, expect, test } from 'vitest';
import {
  planInterface,
  planRoutes,
  type RedirectGateway,
  type SystemRoutes,
  type TunnelPlanInput,
} from '../src/client/tunnel-plan.js';

const SUBNET: TunnelPlanInput = {
  topology: 'subnet',
  ifconfig: { local: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
  tunMtu: 1500,
  routes: [],
  ipv6Routes: [],
  routeGateway: '10.8.0.1',
};
const NET30: TunnelPlanInput = {
  topology: 'net30',
  ifconfig: { local: '10.8.0.6', remoteOrNetmask: '10.8.0.5' },
  tunMtu: 1400,
  routes: [],
  ipv6Routes: [],
};
const SYSTEM: SystemRoutes = {
  remoteHost: { family: 4, address: '203.0.113.5' },
  toRemote: { gateway: '192.168.1.1', device: 'eth0' },
  defaultGateway: { gateway: '192.168.1.1', device: 'eth0' },
  localNetwork: { network: '192.168.1.0', prefixBits: 24 },
};
const REDIRECT: RedirectGateway = {
  private: false,
  def1: true,
  local: false,
  autolocal: false,
  blockLocal: false,
  ipv4: true,
  ipv6: false,
};

/** Routes as one reads them: `network/bits via gateway dev device metric n`. */
function routes(input: TunnelPlanInput, system: SystemRoutes = SYSTEM): string[] {
  return planRoutes(input, system, 'tun7').routes.map(({ network, prefixBits, gateway, device, metric }) =>
    [
      `${network}/${prefixBits}`,
      ...(gateway === undefined ? [] : [`via ${gateway}`]),
      ...(device === undefined ? [] : [`dev ${device}`]),
      ...(metric === undefined ? [] : [`metric ${metric}`]),
    ].join(' '),
  );
}

function redirected(flags: Partial<RedirectGateway>, input: TunnelPlanInput = SUBNET): TunnelPlanInput {
  return { ...input, redirectGateway: { ...REDIRECT, ...flags } };
}

describe('the interface', () => {
  test('topology subnet has a netmask, the others a peer', () => {
    expect(planInterface(SUBNET)).toEqual({
      mtu: 1500,
      ipv4: { kind: 'subnet', address: '10.8.0.2', prefixBits: 24 },
    });
    const peer = { mtu: 1400, ipv4: { kind: 'peer', address: '10.8.0.6', remote: '10.8.0.5' } };
    expect(planInterface(NET30)).toEqual(peer);
    expect(planInterface({ ...NET30, topology: 'p2p' })).toEqual(peer);
  });

  test('either family may be missing', () => {
    const ipv6 = { address: 'fd00::2', prefixBits: 64 };
    const { ifconfig, ...bare } = SUBNET;
    expect(ifconfig).toBeDefined();
    expect(planInterface({ ...bare, ifconfigIpv6: ipv6 })).toEqual({ mtu: 1500, ipv6 });
    expect(planInterface(bare)).toEqual({ mtu: 1500 });
  });

  test('a netmask with holes is a bug of ours: the options were checked', () => {
    const ifconfig = { local: '10.8.0.2', remoteOrNetmask: '255.0.255.0' };
    expect(() => planInterface({ ...SUBNET, ifconfig })).toThrow(RangeError);
  });
});

describe('routes into the tunnel', () => {
  test('go to --route-gateway, else to the peer of the interface', () => {
    const route = { network: '10.1.0.0', netmask: '255.255.0.0' };
    expect(routes({ ...SUBNET, routes: [route] })).toEqual(['10.1.0.0/16 via 10.8.0.1']);
    expect(routes({ ...NET30, routes: [route] })).toEqual(['10.1.0.0/16 via 10.8.0.5']);
    expect(routes({ ...NET30, routeGateway: '10.8.0.9', routes: [route] })).toEqual(['10.1.0.0/16 via 10.8.0.9']);
  });

  test('without a netmask lead to one host; a metric of their own beats --route-metric', () => {
    const input = { ...SUBNET, routeMetric: 50, routes: [{ network: '10.1.2.3' }, { network: '10.1.2.4', metric: 7 }] };
    expect(routes(input)).toEqual(['10.1.2.3/32 via 10.8.0.1 metric 50', '10.1.2.4/32 via 10.8.0.1 metric 7']);
  });

  test('know vpn_gateway, net_gateway and remote_host', () => {
    const input = {
      ...SUBNET,
      routes: [
        { network: '10.1.0.1', gateway: 'vpn_gateway' },
        { network: '10.1.0.2', gateway: 'net_gateway' },
        { network: 'remote_host', gateway: 'net_gateway' },
        { network: '10.1.0.3', gateway: '10.8.0.77' },
      ],
    };
    expect(routes(input)).toEqual([
      '10.1.0.1/32 via 10.8.0.1',
      '10.1.0.2/32 via 192.168.1.1',
      '203.0.113.5/32 via 192.168.1.1',
      '10.1.0.3/32 via 10.8.0.77',
    ]);
  });

  test('that lead nowhere are left out, with OpenVPN’s words', () => {
    const { routeGateway, ...input } = SUBNET;
    expect(routeGateway).toBeDefined();
    const noGateway = planRoutes({ ...input, routes: [{ network: '10.1.0.1' }] }, SYSTEM, 'tun7');
    expect(noGateway.routes).toEqual([]);
    expect(noGateway.warnings).toEqual([expect.stringContaining('OpenVPN needs a gateway parameter')]);
    const unknown = planRoutes(
      { ...SUBNET, routes: [{ network: '10.1.0.1', gateway: 'net_gateway' }, { network: 'remote_host' }] },
      {},
      'tun7',
    );
    expect(unknown.routes).toEqual([]);
    expect(unknown.warnings).toEqual([
      'OpenVPN ROUTE: failed to parse/resolve route for host/network: 10.1.0.1',
      'OpenVPN ROUTE: failed to parse/resolve route for host/network: remote_host',
    ]);
  });

  test('of IPv6 name the device, and the gateway if there is one', () => {
    const ipv6Routes = [
      { network: 'fd01::', prefixBits: 32 },
      { network: 'fd02::', prefixBits: 48, gateway: 'fd00::7', metric: 3 },
    ];
    expect(routes({ ...SUBNET, ipv6Routes })).toEqual([
      'fd01::/32 dev tun7',
      'fd02::/48 via fd00::7 dev tun7 metric 3',
    ]);
    expect(routes({ ...SUBNET, ipv6Routes, ipv6RouteGateway: 'fd00::1', routeMetric: 9 })).toEqual([
      'fd01::/32 via fd00::1 dev tun7 metric 9',
      'fd02::/48 via fd00::7 dev tun7 metric 3',
    ]);
  });
});

describe('--redirect-gateway', () => {
  test('def1: the peer keeps its way around the tunnel, two halves go through it', () => {
    expect(routes(redirected({}))).toEqual([
      '203.0.113.5/32 via 192.168.1.1 dev eth0',
      '0.0.0.0/1 via 10.8.0.1',
      '128.0.0.0/1 via 10.8.0.1',
    ]);
    expect(planRoutes(redirected({}), SYSTEM, 'tun7').displaceDefault).toEqual([]);
  });

  test('without def1 the default route is displaced', () => {
    const plan = planRoutes(redirected({ def1: false }), SYSTEM, 'tun7');
    expect(plan.displaceDefault).toEqual([4]);
    expect(plan.routes.at(-1)).toEqual({ family: 4, network: '0.0.0.0', prefixBits: 0, gateway: '10.8.0.1' });
  });

  test('--redirect-private does all but that', () => {
    expect(routes(redirected({ private: true }))).toEqual(['203.0.113.5/32 via 192.168.1.1 dev eth0']);
    expect(planRoutes(redirected({ private: true, def1: false }), SYSTEM, 'tun7').displaceDefault).toEqual([]);
  });

  test('a peer on the same network needs no way around: local says so, autolocal finds out', () => {
    const halves = ['0.0.0.0/1 via 10.8.0.1', '128.0.0.0/1 via 10.8.0.1'];
    expect(routes(redirected({ local: true }))).toEqual(halves);
    expect(routes(redirected({ autolocal: true }), { ...SYSTEM, toRemote: { device: 'eth0' } })).toEqual(halves);
    expect(routes(redirected({ autolocal: true }))).toHaveLength(3);
  });

  test('cannot be done without a gateway, inside or outside', () => {
    const { routeGateway, ...input } = SUBNET;
    expect(routeGateway).toBeDefined();
    const inside = planRoutes(redirected({}, input), SYSTEM, 'tun7');
    expect(inside.routes).toEqual([]);
    expect(inside.warnings).toEqual([expect.stringContaining('VPN gateway parameter')]);
    const { toRemote, ...lost } = SYSTEM;
    expect(toRemote).toBeDefined();
    const outside = planRoutes(redirected({}), lost, 'tun7');
    expect(outside.routes).toEqual([]);
    expect(outside.warnings).toEqual([expect.stringContaining('Cannot read current default gateway')]);
  });

  test('ipv6: what is assigned goes through the tunnel, and a peer of that family around it', () => {
    const inside = ['::/3 dev tun7', '2000::/4 dev tun7', '3000::/4 dev tun7', 'fc00::/7 dev tun7'];
    expect(routes(redirected({ ipv4: false, ipv6: true }))).toEqual(inside);
    const system: SystemRoutes = {
      ...SYSTEM,
      remoteHost: { family: 6, address: '2001:db8::5' },
      toRemote: { gateway: 'fe80::1', device: 'eth0' },
    };
    expect(routes(redirected({ ipv4: false, ipv6: true }), system)).toEqual([
      '2001:db8::5/128 via fe80::1 dev eth0',
      ...inside,
    ]);
    // IPv4 goes through, and the peer is not in its way.
    expect(routes(redirected({}), system)).toEqual(['0.0.0.0/1 via 10.8.0.1', '128.0.0.0/1 via 10.8.0.1']);
  });

  test('block-local: the local network goes into the tunnel, its gateway does not', () => {
    expect(routes(redirected({ blockLocal: true })).slice(1, 4)).toEqual([
      '192.168.1.1/32 dev eth0',
      '192.168.1.0/25 via 10.8.0.1',
      '192.168.1.128/25 via 10.8.0.1',
    ]);
    const { localNetwork, ...unknown } = SYSTEM;
    expect(localNetwork).toBeDefined();
    expect(routes(redirected({ blockLocal: true }), unknown)).toHaveLength(3);
  });

  test('comes before the other routes', () => {
    const plan = routes({ ...redirected({}), routes: [{ network: '10.1.0.1' }] });
    expect(plan.indexOf('10.1.0.1/32 via 10.8.0.1')).toBe(3);
  });
});
