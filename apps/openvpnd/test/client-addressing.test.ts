import { parseClientConfig } from '@openvpnd/config';
import { formatPrefix } from '@openvpnd/internal-mux';
import { describe, expect, test } from 'vitest';
import { type Assignment, ClientAddressing } from '../src/server/client-addressing.js';
import { optionsOf, SERVER } from './options-of.js';

function addressing(...lines: readonly string[]): ClientAddressing {
  return new ClientAddressing(optionsOf(...SERVER, ...lines).options);
}

function config(...lines: readonly string[]) {
  const { config: parsed, log } = parseClientConfig(lines.join('\n'), 'client');
  expect(log).toEqual([]);
  return parsed;
}

const routesOf = (assignment: Assignment | undefined): string[] | undefined => assignment?.routes.map(formatPrefix);

describe('from the pool', () => {
  test('each client has its own, and is routed to by it', () => {
    const pool = addressing('server-ipv6 fd00:8::/64');
    const first = pool.assign(0, 'one', undefined);
    expect(first?.addresses).toEqual({
      ipv4: { local: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
      ipv6: { local: 'fd00:8::1000', bits: 64, remote: 'fd00:8::1' },
    });
    expect(routesOf(first)).toEqual(['10.8.0.2/32', 'fd00:8::1000/128']);
    expect(pool.assign(1, 'two', undefined)?.addresses.ipv4?.local).toBe('10.8.0.3');
  });

  test('who comes back has what it had, while others take what is free longest', () => {
    const pool = addressing();
    pool.assign(0, 'one', undefined);
    pool.assign(1, 'two', undefined);
    pool.release(0);
    expect(pool.assign(2, 'three', undefined)?.addresses.ipv4?.local).toBe('10.8.0.4');
    expect(pool.assign(3, 'one', undefined)?.addresses.ipv4?.local).toBe('10.8.0.2');
  });

  test('asking again for a slot gives the same; releasing twice does no harm', () => {
    const pool = addressing();
    const before = pool.assign(0, 'one', undefined);
    expect(pool.assign(0, 'one', undefined)).toEqual(before);
    pool.release(0);
    pool.release(0);
    pool.release(99);
    expect(pool.assign(1, 'one', undefined)).toEqual(before);
  });

  test('when it is exhausted there is nothing, until somebody goes', () => {
    const pool = new ClientAddressing(
      optionsOf(...SERVER.filter((line) => !line.startsWith('server')), 'server 10.8.0.0 255.255.255.248').options,
    );
    expect(pool.poolSize).toBe(5);
    for (let slot = 0; slot < 5; slot += 1) expect(pool.assign(slot, `client${slot}`, undefined)).toBeDefined();
    expect(pool.assign(5, 'late', undefined)).toBeUndefined();
    pool.release(3);
    expect(pool.assign(5, 'late', undefined)?.addresses.ipv4?.local).toBe('10.8.0.5');
  });

  test('net30 and p2p name the other end', () => {
    const net30 = addressing('topology net30').assign(0, 'one', undefined);
    expect(net30?.addresses.ipv4).toEqual({ local: '10.8.0.6', remoteOrNetmask: '10.8.0.5' });
    const p2p = addressing('topology p2p').assign(0, 'one', undefined);
    expect(p2p?.addresses.ipv4).toEqual({ local: '10.8.0.4', remoteOrNetmask: '10.8.0.1' });
  });
});

describe('by a client’s own configuration', () => {
  test('its addresses, and the networks behind it', () => {
    const pool = addressing('server-ipv6 fd00:8::/64');
    const assigned = pool.assign(
      0,
      'one',
      config(
        'ifconfig-push 10.8.0.77 255.255.255.0',
        'ifconfig-ipv6-push fd00:8::77/64',
        'iroute 192.168.7.0 255.255.255.0',
        'iroute-ipv6 fd77::/48',
      ),
    );
    expect(assigned?.addresses).toEqual({
      ipv4: { local: '10.8.0.77', remoteOrNetmask: '255.255.255.0' },
      ipv6: { local: 'fd00:8::77', bits: 64, remote: 'fd00:8::1' },
    });
    expect(routesOf(assigned)).toEqual(['10.8.0.77/32', 'fd00:8::77/128', '192.168.7.0/24', 'fd77::/48']);
  });

  test('one family fixed, the other from the pool', () => {
    const pool = addressing('server-ipv6 fd00:8::/64');
    const { addresses } = pool.assign(0, 'one', config('ifconfig-push 10.8.0.77 255.255.255.0')) ?? {};
    expect(addresses?.ipv4?.local).toBe('10.8.0.77');
    expect(addresses?.ipv6?.local).toBe('fd00:8::1000');
  });

  test('a fixed address of the pool is given to nobody else, until its owner goes', () => {
    const pool = addressing();
    pool.assign(0, 'fixed', config('ifconfig-push 10.8.0.2 255.255.255.0'));
    expect(pool.assign(1, 'other', undefined)?.addresses.ipv4?.local).toBe('10.8.0.3');
    pool.release(0);
    const rest = Array.from({ length: 252 }, (_, slot) => pool.assign(slot + 2, `c${slot}`, undefined));
    expect(rest.map((one) => one?.addresses.ipv4?.local)).toContain('10.8.0.2');
  });

  test('push-remove ifconfig-ipv6 takes the family away', () => {
    const pool = addressing('server-ipv6 fd00:8::/64');
    const assigned = pool.assign(0, 'one', config('push-remove ifconfig-ipv6'));
    expect(assigned?.addresses).toEqual({ ipv4: { local: '10.8.0.2', remoteOrNetmask: '255.255.255.0' } });
    expect(routesOf(assigned)).toEqual(['10.8.0.2/32']);
  });
});

test('a server without a pool gives what it was told, and nothing otherwise', () => {
  const { options } = optionsOf(
    ...SERVER.filter((line) => !line.startsWith('server')),
    'server 10.8.0.0 255.255.255.0 nopool',
  );
  const none = new ClientAddressing(options);
  expect(none.poolSize).toBe(0);
  expect(none.assign(0, 'one', undefined)).toEqual({ addresses: {}, routes: [] });
  const fixed = none.assign(1, 'two', config('ifconfig-push 10.8.0.9 255.255.255.0'));
  expect(fixed?.addresses.ipv4?.local).toBe('10.8.0.9');
});
