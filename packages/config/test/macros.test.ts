import { describe, expect, test } from 'vitest';
import { type Options, parseConfigText } from '../src/index.js';

const SERVER = 'dev tun\nca ca.crt\ncert s.crt\nkey s.key\ndh none\n';

function options(text: string): Options {
  const result = parseConfigText(`${SERVER}${text}`, 't.conf');
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error(result.standAlone);
  return result.options;
}

interface Expansion {
  text: string;
  ifconfig: [local: string, remoteOrNetmask: string];
  pool: [start: string, end: string, netmask: string | undefined] | undefined;
  push: string[];
  routes: [network: string, netmask: string][];
  gateway: string | undefined;
}

/** What OpenVPN 2.6.14 makes of each, as it prints with `verb 4`. */
const EXPANSIONS: Expansion[] = [
  {
    text: 'server 10.8.0.0 255.255.255.0\ntopology subnet\n',
    ifconfig: ['10.8.0.1', '255.255.255.0'],
    pool: ['10.8.0.2', '10.8.0.254', '255.255.255.0'],
    push: ['route-gateway 10.8.0.1', 'topology subnet'],
    routes: [],
    gateway: '10.8.0.2',
  },
  {
    text: 'server 10.8.0.0 255.255.255.0\n',
    ifconfig: ['10.8.0.1', '10.8.0.2'],
    pool: ['10.8.0.4', '10.8.0.251', undefined],
    push: ['route 10.8.0.1', 'topology net30'],
    routes: [['10.8.0.0', '255.255.255.0']],
    gateway: undefined,
  },
  {
    text: 'server 10.8.0.0 255.255.255.0\nclient-to-client\n',
    ifconfig: ['10.8.0.1', '10.8.0.2'],
    pool: ['10.8.0.4', '10.8.0.251', undefined],
    push: ['route 10.8.0.0 255.255.255.0', 'topology net30'],
    routes: [['10.8.0.0', '255.255.255.0']],
    gateway: undefined,
  },
  {
    text: 'server 10.8.0.0 255.255.255.0\ntopology p2p\nclient-to-client\n',
    ifconfig: ['10.8.0.1', '10.8.0.2'],
    pool: ['10.8.0.4', '10.8.0.251', undefined],
    push: ['route 10.8.0.0 255.255.255.0', 'topology p2p'],
    routes: [['10.8.0.0', '255.255.255.0']],
    gateway: undefined,
  },
  {
    text: 'server 10.8.0.0 255.255.255.0\ntopology p2p\n',
    ifconfig: ['10.8.0.1', '10.8.0.2'],
    pool: ['10.8.0.4', '10.8.0.251', undefined],
    push: ['topology p2p'],
    routes: [['10.8.0.0', '255.255.255.0']],
    gateway: undefined,
  },
  {
    text: 'server 10.8.0.0 255.255.255.248\ntopology subnet\n',
    ifconfig: ['10.8.0.1', '255.255.255.248'],
    pool: ['10.8.0.2', '10.8.0.6', '255.255.255.248'],
    push: ['route-gateway 10.8.0.1', 'topology subnet'],
    routes: [],
    gateway: '10.8.0.2',
  },
  {
    text: 'server 10.8.0.0 255.255.255.248\n',
    ifconfig: ['10.8.0.1', '10.8.0.2'],
    pool: ['10.8.0.4', '10.8.0.7', undefined],
    push: ['route 10.8.0.1', 'topology net30'],
    routes: [['10.8.0.0', '255.255.255.248']],
    gateway: undefined,
  },
  {
    text: 'server 10.8.0.0 255.255.255.0 nopool\ntopology subnet\n',
    ifconfig: ['10.8.0.1', '255.255.255.0'],
    pool: undefined,
    push: ['route-gateway 10.8.0.1', 'topology subnet'],
    routes: [],
    gateway: '10.8.0.2',
  },
  {
    text: 'server 192.168.0.0 255.255.0.0\ntopology subnet\nroute-gateway 192.168.0.9\nkeepalive 10 60\npush "verb 4"\n',
    ifconfig: ['192.168.0.1', '255.255.0.0'],
    pool: ['192.168.0.2', '192.168.255.254', '255.255.0.0'],
    push: ['verb 4', 'route-gateway 192.168.0.1', 'topology subnet', 'ping 10', 'ping-restart 60'],
    routes: [],
    gateway: '192.168.0.9',
  },
];

test.each(EXPANSIONS)('$text', (expansion) => {
  const { server, device, routes, mode, tls } = options(expansion.text);
  expect([mode, tls.role]).toEqual(['server', 'server']);
  expect(device.ifconfig).toEqual({ local: expansion.ifconfig[0], remoteOrNetmask: expansion.ifconfig[1] });
  expect(server?.pool && [server.pool.start, server.pool.end, server.pool.netmask]).toEqual(expansion.pool);
  expect(server?.push).toEqual(expansion.push);
  expect(routes.routes.map((route) => [route.network, route.netmask])).toEqual(expansion.routes);
  expect(routes.gateway).toBe(expansion.gateway);
});

describe('server-ipv6', () => {
  test('of a /64 leaves room before its pool and pushes tun-ipv6 first', () => {
    const { device, server } = options('server 10.8.0.0 255.255.255.0\ntopology subnet\nserver-ipv6 fd00:1::/64\n');
    expect(device.ifconfigIpv6).toEqual({ local: 'fd00:1::1', bits: 64, remote: 'fd00:1::2' });
    expect(server?.poolIpv6).toEqual({ start: 'fd00:1::1000', bits: 64 });
    expect(server?.push).toEqual(['tun-ipv6', 'route-gateway 10.8.0.1', 'topology subnet']);
  });
  test('of a /112 begins its pool at once, and stands alone', () => {
    const { mode, device, server } = options('server-ipv6 fd00:1::/112\n');
    expect(mode).toBe('server');
    expect(device.ifconfig).toBeUndefined();
    expect(server?.poolIpv6).toEqual({ start: 'fd00:1::2', bits: 112 });
  });
});

test('server-ipv6 without a length is a /64, and its addresses count from the one written', () => {
  expect(options('server-ipv6 fd00:7::5\n').device.ifconfigIpv6).toEqual({
    local: 'fd00:7::6',
    bits: 64,
    remote: 'fd00:7::7',
  });
});

test('keepalive of a peer without server pushes nothing and is not doubled', () => {
  const { ping, server } = options('tls-client\nremote a\nkeepalive 5 20\n');
  expect(ping).toMatchObject({ sendSeconds: 5, timeout: { seconds: 20, action: 'restart' }, onlyWithRemote: false });
  expect(server).toBeUndefined();
});

test('ping-restart 0 switches the timeout off, for a client too', () => {
  expect(options('client\nremote a\nping-restart 0\n').ping.timeout).toBeUndefined();
  expect(options('client\nremote a\n').ping.timeout).toEqual({ seconds: 120, action: 'restart' });
});
