import { describe, expect, test } from 'vitest';
import {
  OPTION_TABLE,
  type PulledOptions,
  type PulledResult,
  type PullFilter,
  type PullPolicy,
  parsePushReply,
} from '../src/index.js';
import vectors from './vectors/control_messages.json' with { type: 'json' };

const OPEN = { routeNopull: false, pullFilters: [], compressionStubsOnly: true };

function pull(options: string[], policy: Partial<PullPolicy> = {}): PulledResult {
  return parsePushReply(options, { ...OPEN, ...policy });
}

function pulled(...options: string[]): PulledOptions {
  const result = pull(options);
  if (!result.ok) throw new Error(result.reason);
  return result.pulled;
}

describe('replies of real servers', () => {
  const replies = (vectors.vectors as unknown as { id: string; expected: { commands?: (string | null)[] } }[])
    .map((vector) => vector.expected.commands?.[0] ?? '')
    .filter((command) => command.startsWith('PUSH_REPLY,'));
  test('the file has them', () => expect(replies.length).toBe(2));
  test.each(replies)('%s', (reply) => {
    const result = pull(reply.split(',').slice(1));
    expect(result.log).toEqual([]);
    expect(result.ok && result.pulled).toMatchObject({
      topology: 'subnet',
      ifconfig: { local: '10.99.0.2', remoteOrNetmask: '255.255.255.0' },
      routes: { gateway: '10.99.0.1', routes: [{ network: '10.1.0.0', netmask: '255.255.0.0' }] },
      pingSeconds: 1,
      pingTimeout: { seconds: 60, action: 'restart' },
      cipher: 'AES-256-GCM',
      tunMtu: 1500,
      peerId: reply.includes('peer-id') ? 0 : undefined,
    });
    expect(result.ok && result.pulled.protocolFlags.slice(0, 3)).toEqual(['cc-exit', 'tls-ekm', 'dyn-tls-crypt']);
  });
});

test('an empty reply changes nothing', () => {
  const options = pulled();
  expect(options.ifconfig).toBeUndefined();
  expect(options.pingTimeout).toBeUndefined();
  expect(options.routes.routes).toEqual([]);
});

test('protocol flags and key derivations that are unknown end the connection: without them the keys would differ', () => {
  expect(pulled('protocol-flags cc-exit tls-ekm').protocolFlags).toEqual(['cc-exit', 'tls-ekm']);
  const flags = pull(['protocol-flags cc-exit time-travel']);
  expect(!flags.ok && flags.reason).toContain('protocol-flags cc-exit time-travel');
  expect(pulled('key-derivation tls-ekm').keyDerivation).toBe('tls-ekm');
  expect(pull(['key-derivation by-hand']).ok).toBe(false);
});

describe('what providers push', () => {
  test('is taken or passed over, and the connection goes on', () => {
    const result = pull([
      'block-outside-dns',
      'register-dns',
      'tun-ipv6',
      'persist-key',
      'max-routes 100',
      'dhcp-option DNS 10.0.0.1',
      'redirect-gateway def1',
      'inactive 3600',
      'socket-flags TCP_NODELAY',
      'shaper 100000',
    ]);
    expect(result.ok && result.pulled.dns.dhcpOptions).toEqual([{ type: 'DNS', value: '10.0.0.1' }]);
    expect(result.ok && result.pulled.routes.redirect).toMatchObject({ reroute: true, def1: true });
    expect(result.log.join('\n')).toContain("option 'shaper' is not supported yet");
    expect(result.ok && result.pulled.inactive).toEqual({ seconds: 3600, bytes: 0 });
  });
  test.each([
    ['comp-lzo no', 'lzo-stub'],
    ['compress', 'stub'],
    ['compress stub-v2', 'stub-v2'],
    ['compress migrate', undefined],
  ])('%s is taken', (option, algorithm) => {
    const result = pull([option]);
    expect(result.ok && result.pulled.compression).toEqual({ algorithm });
  });
  test('compressed packets are taken where the client allows them', () => {
    for (const option of ['comp-lzo', 'compress lz4', 'compress lz4-v2', 'compress lzo']) {
      expect(pull([option])).toMatchObject({
        ok: false,
        reason: expect.stringContaining('OPTIONS ERROR: server pushed compression settings that are not allowed'),
      });
      expect(pull([option], { compressionStubsOnly: false }).ok).toBe(true);
    }
  });
  test('framing that we cannot speak ends it', () => {
    for (const option of ['compress snappy', 'comp-lzo maybe']) {
      expect(pull([option], { compressionStubsOnly: false }).ok).toBe(false);
    }
  });
  test('fragment is not to be pushed', () => {
    const result = pull(['fragment 1200']);
    expect(result.ok).toBe(true);
    expect(result.log.join()).toContain("option 'fragment' cannot be used in this context");
  });
});

describe('what may not be pushed is logged and skipped', () => {
  test.each([
    ['up /bin/sh', 'up'],
    ['plugin x.so', 'plugin'],
    ['setenv opt up /bin/sh', 'setenv'],
    ['setenv LD_PRELOAD x', 'setenv'],
    ['script-security 3', 'script-security'],
    ['remote 1.2.3.4', 'remote'],
    ['ca x', 'ca'],
    ['push "verb 3"', 'push'],
    ['iroute 10.0.0.0', 'iroute'],
    ['bind-dev eth0', 'bind-dev'],
    ['log /etc/passwd', 'log'],
    ['config /etc/passwd', 'config'],
    ['pull-filter accept x', 'pull-filter'],
  ])('%s', (option, name) => {
    const result = pull([option, 'ping 7']);
    expect(result.log).toHaveLength(1);
    expect(result.log[0]).toMatch(
      new RegExp(`^Options error: option '${name}' cannot be used in this context \\(\\[PUSH-OPTIONS\\]\\)`),
    );
    expect(result.ok && result.pulled.pingSeconds).toBe(7);
  });
  test('what is unknown or malformed too', () => {
    const result = pull(['nonsense 1', 'ping', 'ping x', 'route "10', '<ca>', 'ping 7']);
    expect(result.log).toEqual([
      expect.stringMatching(
        /^Options error: Unrecognized option or missing or extra parameter\(s\) in \[PUSH-OPTIONS\]:1: nonsense/,
      ),
      expect.stringMatching(
        /^Options error: Unrecognized option or missing or extra parameter\(s\) in \[PUSH-OPTIONS\]:2: ping/,
      ),
      expect.stringMatching(/^Options error: ping: Cannot parse 'x' as integer \(\[PUSH-OPTIONS\]:3/),
      expect.stringMatching(/^Options error: No closing quotation \("\) in \[PUSH-OPTIONS\]:4/),
      expect.stringMatching(/^Options error: Unrecognized option/),
    ]);
    expect(result.ok && result.pulled.pingSeconds).toBe(7);
  });
});

test('route-nopull refuses routes and DNS, nothing else', () => {
  const result = pull(
    [
      'route 10.0.0.0',
      'route-ipv6 fd00::/8',
      'redirect-gateway',
      'dhcp-option DNS 1.1.1.1',
      'route-ipv6-gateway fd00::1',
      'ping 5',
      'route-gateway 10.0.0.1',
    ],
    { routeNopull: true },
  );
  expect(result.log).toHaveLength(5);
  expect(result.ok && result.pulled.routes).toMatchObject({
    routes: [],
    routesIpv6: [],
    redirect: undefined,
    gateway: '10.0.0.1',
  });
  expect(result.ok && result.pulled.pingSeconds).toBe(5);
});

describe('pull-filter', () => {
  const filters: PullFilter[] = [
    { action: 'accept', text: 'route 10.' },
    { action: 'ignore', text: 'route' },
    { action: 'reject', text: 'ping' },
  ];
  test('the first that matches by prefix decides', () => {
    const result = pull(['route 10.1.0.0', 'route 192.168.1.0', 'topology subnet'], { pullFilters: filters });
    expect(result.ok && result.pulled.routes.routes.map((route) => route.network)).toEqual(['10.1.0.0']);
    expect(result.log).toEqual([
      "Pushed option accepted by filter: 'route 10.1.0.0'",
      "Pushed option removed by filter: 'route 192.168.1.0'",
    ]);
  });
  test('reject ends the connection', () => {
    expect(pull(['ping 5'], { pullFilters: filters })).toMatchObject({
      ok: false,
      reason: "Pushed option rejected by filter: 'ping 5'. Restarting.",
    });
  });
});

test('every number that may be pushed is held to its range', () => {
  for (const spec of OPTION_TABLE.values()) {
    const kind = spec.parameters[0]?.kind;
    if (kind?.kind !== 'integer' || kind.clamp || spec.status.is !== 'implemented') continue;
    for (const value of ['-1', '9007199254740993', 'abc', '', '1.5', '0x1']) {
      const result = pull([`${spec.name} "${value}"`]);
      expect(result.log.length, `${spec.name} ${value}`).toBeGreaterThan(0);
      expect(JSON.stringify(result)).not.toContain('NaN');
    }
  }
  expect(pull(['tun-mtu 1']).log[0]).toContain('tun-mtu: Must be an integer between 100 and 65536, not 1');
  expect(pull(['peer-id 16777216']).log[0]).toContain('between 0 and 16777215');
  expect(pulled('peer-id 16777215').peerId).toBe(16777215);
});

test('control characters do not reach the log', () => {
  expect(pull(['\x1b[2Jx\x07']).log.join('')).not.toMatch(/[\x00-\x1f]/);
});
