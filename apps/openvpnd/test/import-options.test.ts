import { describe, expect, test } from 'vitest';
import { type ImportResult, importOptions, planInput } from '../src/client/import-options.js';
import { CLIENT, optionsOf } from './options-of.js';

const USUAL = [
  'route-gateway 10.8.0.1',
  'topology subnet',
  'ping 10',
  'ping-restart 60',
  'ifconfig-ipv6 fd00:8::1000/64 fd00:8::1',
  'ifconfig 10.8.0.2 255.255.255.0',
  'peer-id 7',
  'cipher AES-256-GCM',
  'protocol-flags cc-exit tls-ekm dyn-tls-crypt',
];

function read(pushed: readonly string[], ...config: readonly string[]): ImportResult {
  const { options, entry } = optionsOf(...CLIENT, ...config);
  return importOptions(options, entry, pushed);
}

function accepted(pushed: readonly string[], ...config: readonly string[]) {
  const result = read(pushed, ...config);
  if (!result.ok) throw new Error(result.lines.join('\n'));
  return { ...result.imported, lines: result.lines };
}

describe('what a server pushes', () => {
  test('decides about addresses, timers and the data channel', () => {
    const { plan, peer, negotiated, lines } = accepted(USUAL);
    expect(plan).toEqual({
      topology: 'subnet',
      tunMtu: 1500,
      ifconfig: { local: '10.8.0.2', remoteOrNetmask: '255.255.255.0' },
      ifconfigIpv6: { address: 'fd00:8::1000', prefixBits: 64 },
      routes: [],
      ipv6Routes: [],
      routeGateway: '10.8.0.1',
    });
    expect(peer).toMatchObject({ pingMs: 10_000, silence: { ms: 60_000, signal: 'ping-restart' } });
    expect(negotiated).toEqual({
      cipher: 'AES-256-GCM',
      peerId: 7,
      keyDerivation: 'tls-ekm',
      protocolFlags: ['cc-exit', 'tls-ekm', 'dyn-tls-crypt'],
      unsupported: [],
    });
    expect(lines).toEqual([
      'OPTIONS IMPORT: timers and/or timeouts modified',
      'OPTIONS IMPORT: --ifconfig/up options modified',
      'OPTIONS IMPORT: route-related options modified',
    ]);
  });

  test('may be nothing: then the client’s own options hold', () => {
    const { plan, peer, negotiated, lines } = accepted([], 'ping 5', 'ping-exit 20', 'ifconfig 10.8.0.6 10.8.0.5');
    expect(plan.ifconfig).toEqual({ local: '10.8.0.6', remoteOrNetmask: '10.8.0.5' });
    expect(peer).toMatchObject({ pingMs: 5000, silence: { ms: 20_000, signal: 'ping-exit' } });
    expect(negotiated).toEqual({
      cipher: undefined,
      peerId: undefined,
      keyDerivation: 'prf',
      protocolFlags: [],
      unsupported: [],
    });
    expect(lines).toEqual([]);
  });

  test('replaces timers of the client, one by one', () => {
    const config = ['ping 5', 'ping-exit 20'];
    expect(accepted(['ping 10'], ...config).peer).toMatchObject({
      pingMs: 10_000,
      silence: { ms: 20_000, signal: 'ping-exit' },
    });
    expect(accepted(['ping-restart 60'], ...config).peer).toMatchObject({
      pingMs: 5000,
      silence: { ms: 60_000, signal: 'ping-restart' },
    });
    expect(accepted(['ping-restart 0', 'ping 0'], ...config).peer).toMatchObject({
      pingMs: undefined,
      silence: undefined,
    });
  });

  test('adds routes behind those of the client', () => {
    const { plan, lines } = accepted(
      ['route 10.2.0.0 255.255.0.0', 'route-ipv6 fd02::/48'],
      'route 10.1.0.0 255.255.0.0',
    );
    expect(plan.routes.map(({ network }) => network)).toEqual(['10.1.0.0', '10.2.0.0']);
    expect(plan.ipv6Routes).toEqual([{ network: 'fd02::', prefixBits: 48 }]);
    expect(lines).toEqual(['OPTIONS IMPORT: route options modified']);
  });

  test('adds none with --route-nopull, and the client’s stay', () => {
    const { plan } = accepted(
      ['route 10.2.0.0 255.255.0.0', 'redirect-gateway def1', 'ifconfig 10.8.0.2 10.8.0.1'],
      'route 10.1.0.0 255.255.0.0',
      'route-nopull',
    );
    expect(plan.routes.map(({ network }) => network)).toEqual(['10.1.0.0']);
    expect(plan.redirectGateway).toBeUndefined();
    expect(plan.ifconfig).toEqual({ local: '10.8.0.2', remoteOrNetmask: '10.8.0.1' });
  });

  test('key derivation, in the words of 2.5 and of 2.6', () => {
    expect(accepted(['key-derivation tls-ekm']).negotiated.keyDerivation).toBe('tls-ekm');
    expect(accepted(['protocol-flags tls-ekm']).negotiated.keyDerivation).toBe('tls-ekm');
    expect(accepted(['protocol-flags cc-exit']).negotiated.keyDerivation).toBe('prf');
  });
});

describe('what a client does not take', () => {
  test('options that may not be pushed', () => {
    const { plan, lines } = accepted([...USUAL, 'script-security 2', 'up /bin/sh', 'remote 203.0.113.1']);
    expect(plan.ifconfig?.local).toBe('10.8.0.2');
    for (const option of ['script-security', 'up', 'remote']) {
      expect(
        lines.some((line) => line.includes(option)),
        option,
      ).toBe(true);
    }
  });

  test('protocol flags that nobody knows here: the connection cannot work', () => {
    const refused = read([...USUAL, 'protocol-flags cc-exit time-travel']);
    expect(refused.ok).toBe(false);
    expect(refused.lines.at(-1)).toContain('time-travel');
  });

  test('addresses that are none', () => {
    const { plan, lines } = accepted(['ifconfig 10.8.0.2; 255.255.255.0', 'ifconfig-ipv6 fd00::1%eth0/64 fd00::2']);
    expect(plan.ifconfig).toBeUndefined();
    expect(plan.ifconfigIpv6).toBeUndefined();
    expect(lines.length).toBeGreaterThan(0);
  });

  test('pull-filter ignore drops an option, pull-filter reject the connection', () => {
    const ignored = accepted(USUAL, 'pull-filter ignore "ping"');
    expect(ignored.pulled.pingSeconds).toBeUndefined();
    const refused = read(USUAL, 'pull-filter reject "ping-restart"');
    expect(refused.ok).toBe(false);
    expect(refused.lines.join('\n')).toContain('ping-restart');
    expect(read(USUAL, 'pull-filter accept "ping"', 'pull-filter reject "ping"').ok).toBe(true);
  });
});

describe('--redirect-gateway', () => {
  test('pushed flags and own ones', () => {
    const flags = accepted(['redirect-gateway def1 bypass-dhcp ipv6']).plan.redirectGateway;
    expect(flags).toMatchObject({ private: false, def1: true, ipv4: true, ipv6: true });
    expect(accepted([], 'redirect-private local').plan.redirectGateway).toMatchObject({ private: true, local: true });
    expect(accepted([]).plan.redirectGateway).toBeUndefined();
  });
});

test('without a push the plan is that of the options alone', () => {
  const { options, entry } = optionsOf(
    'dev tun',
    'server 10.8.0.0 255.255.255.0',
    'topology subnet',
    'tun-mtu 1400',
    'route 10.9.0.0 255.255.0.0 10.8.0.2 5',
    'ca ca',
    'cert cert',
    'key key',
    'dh none',
  );
  expect(planInput(options, entry)).toMatchObject({
    topology: 'subnet',
    tunMtu: 1400,
    ifconfig: { local: '10.8.0.1', remoteOrNetmask: '255.255.255.0' },
    routes: [{ network: '10.9.0.0', netmask: '255.255.0.0', gateway: '10.8.0.2', metric: 5 }],
  });
});
