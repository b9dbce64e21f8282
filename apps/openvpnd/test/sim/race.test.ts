import { formatLinkAddress } from '@openvpnd/external-mux';
import { describe, expect, test } from 'vitest';
import type { SimClient } from './sim-client.js';
import { SERVER_HOST, TLS_CRYPT } from './sim-config.js';
import type { SimServer } from './sim-server.js';
import { SimWorld } from './sim-world.js';

const SERVER_IPV6 = '2001:db8::1';
const DEAD_IPV6 = '2001:db8::dead';
const DEAD_IPV4 = '192.0.2.99';

/** A server with an address of each family. */
const BOTH = [`local ${SERVER_IPV6} 1194 udp6`];

/** A client whose server's name has these addresses, connected; and how long it took. */
function connect(
  reach: readonly string[],
  config: readonly string[] = [],
  delayMs = 10,
): { world: SimWorld; server: SimServer; client: SimClient; tookMs: number } {
  const world = new SimWorld({ seed: 7, conditions: { delayMs } });
  const server = world.server({ config: [...TLS_CRYPT, ...BOTH] });
  const client = world.client('client', {
    config: [...TLS_CRYPT, 'proto udp', 'remote vpn.example.com', ...config],
    reach,
    hostIpv6: '2001:db8::77',
  });
  const begun = world.clock.now();
  world.until('connected', () => client.connected && server.connected > 0, 600);
  return { world, server, client, tookMs: client.connectedAt[0] - begun };
}

function peerOf(client: SimClient): string {
  const address = client.modules.tunnel.peerAddress;
  return address === undefined ? 'nobody' : formatLinkAddress(address);
}

/** How often each address of the server's side was sent something, by the tap of the network. */
function tapped(world: SimWorld): Map<string, number> {
  const counts = new Map<string, number>();
  world.network.tap((_packet, _from, to) => {
    const plain = to.slice();
    plain[7] = 0;
    const name = formatLinkAddress(plain);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  });
  return counts;
}

describe('a race between address families over UDP', () => {
  test('a dead IPv6 path costs at most 3 s', () => {
    const { client, tookMs } = connect([DEAD_IPV6, SERVER_HOST]);
    expect(tookMs).toBeGreaterThanOrEqual(2000);
    expect(tookMs).toBeLessThan(3000);
    expect(peerOf(client)).toBe(`[AF_INET]${SERVER_HOST}:1194`);
    expect(client.signals).toEqual([]);
  });

  test('a dead IPv4 path that comes first costs no more', () => {
    const { client, tookMs } = connect([DEAD_IPV4, SERVER_IPV6]);
    expect(tookMs).toBeLessThan(3000);
    expect(peerOf(client)).toBe(`[AF_INET6]${SERVER_IPV6}:1194`);
  });

  test('the first address is used when it answers, and the other hears nothing at all', () => {
    const world = new SimWorld({ seed: 3 });
    const counts = tapped(world);
    const server = world.server({ config: [...TLS_CRYPT, ...BOTH] });
    const client = world.client('client', {
      config: [...TLS_CRYPT, 'proto udp', 'remote vpn.example.com'],
      reach: [SERVER_IPV6, SERVER_HOST],
      hostIpv6: '2001:db8::77',
    });
    world.until('connected', () => client.connected && server.connected > 0, 10);
    world.advanceSeconds(30);
    expect(peerOf(client)).toBe(`[AF_INET6]${SERVER_IPV6}:1194`);
    expect(counts.get(`[AF_INET]${SERVER_HOST}:1194`)).toBeUndefined();
  });

  test('a server that answers late on the first address wins there, or on the second, and is one client in any case', () => {
    // The answer to the first packet is under way when the second address is tried.
    const { world, server, client } = connect([SERVER_IPV6, SERVER_HOST], ['hand-window 120'], 1400);
    world.advanceSeconds(60);
    expect(server.connected).toBe(1);
    expect(peerOf(client)).toBe(`[AF_INET6]${SERVER_IPV6}:1194`);
    expect(client.signals).toEqual([]);
  });

  test('nothing of the loser is left: its link is closed, and it is told nothing', () => {
    const { world, client } = connect([DEAD_IPV6, SERVER_HOST]);
    const counts = tapped(world);
    world.traffic.between('client', 'server', { intervalMs: 100 });
    world.finishTraffic(30);
    expect(world.traffic.lost).toBe(0);
    expect([...counts.keys()].filter((name) => name.includes(DEAD_IPV6))).toEqual([]);
    expect(client.run.links.map(({ isClosed }) => isClosed)).toEqual([true, false]);
  });

  test('connect-race sets the wait', () => {
    expect(connect([DEAD_IPV6, SERVER_HOST], ['connect-race 500']).tookMs).toBeLessThan(1500);
  });

  test('connect-race off: the next address comes after connect-timeout', () => {
    const { client, tookMs } = connect([DEAD_IPV6, SERVER_HOST], ['connect-race off', 'connect-timeout 20']);
    expect(tookMs).toBeGreaterThanOrEqual(20_000);
    expect(client.tried).toEqual([`[AF_INET6]${DEAD_IPV6}:1194`, `[AF_INET]${SERVER_HOST}:1194`]);
    expect(client.signals.map(({ text }) => text)).toEqual(['server_poll']);
  });

  test('each address has its own connect-timeout', () => {
    // The second begins after 2 s and would be cut off by the first one's 3 s.
    const { client } = connect([DEAD_IPV6, SERVER_HOST], ['connect-timeout 3'], 700);
    expect(client.signals).toEqual([]);
  });

  test('two dead addresses fail together, and the two behind them are next', () => {
    const { client, tookMs } = connect(
      [DEAD_IPV6, SERVER_IPV6, DEAD_IPV4, SERVER_HOST],
      ['connect-timeout 20', 'connect-retry 1'],
    );
    expect(tookMs).toBeLessThan(23_500);
    expect(client.signals.map(({ text }) => text)).toEqual(['server_poll']);
  });
});
