import { describe, expect, test } from 'vitest';
import { type ConfigFiles, type ConnectionEntry, type Options, parseArguments, parseConfigText } from '../src/index.js';

const SERVER = 'dev tun\nca ca.crt\ncert s.crt\nkey s.key\ndh none\n';
const CLIENT = 'client\ndev tun\nremote vpn.example.com\nca ca.crt\ncert c.crt\nkey c.key\n';

/** A file system of a few texts. */
function filesOf(texts: Readonly<Record<string, string>>): ConfigFiles {
  return {
    readFile(path) {
      const text = texts[path];
      return text === undefined
        ? { ok: false, reason: 'No such file or directory' }
        : { ok: true, value: new TextEncoder().encode(text) };
    },
  };
}

function good(text: string): Options {
  const result = parseConfigText(text, 't.conf');
  if (!result.ok) throw new Error(result.errors.join('\n'));
  if (result.standAlone !== undefined) throw new Error(result.standAlone);
  return result.options;
}

function error(text: string): string {
  const result = parseConfigText(text, 't.conf');
  return result.ok ? 'accepted' : result.errors.join('\n');
}

function warnings(text: string): readonly string[] {
  const result = parseConfigText(text, 't.conf');
  if (!result.ok || result.standAlone !== undefined) throw new Error('refused');
  return result.warnings;
}

describe('the device', () => {
  test('has a name that an interface can have', () => {
    for (const name of ['tun', 'tun7', 'vpn-office.1', 'a-name-of-15-by']) {
      expect(good(CLIENT.replace('dev tun', `dev ${name}\ndev-type tun`)).device.name).toBe(name);
    }
  });
  test('is refused under another one', () => {
    for (const name of [
      'a-name-of-16-byt',
      'tun%d',
      'tun/1',
      '..',
      '\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6',
    ]) {
      expect(error(CLIENT.replace('dev tun', `dev ${name}`))).toContain(`--dev: '${name}' is no name of an interface`);
    }
  });
});

describe('a client', () => {
  const options = good(CLIENT);
  test('pulls and is the TLS client', () => {
    expect(options.mode).toBe('p2p');
    expect(options.client).toBeDefined();
    expect(options.server).toBeUndefined();
    expect(options.tls.role).toBe('client');
  });
  test('has the defaults of OpenVPN 2.6', () => {
    expect(options.connections).toEqual([
      {
        protocol: { transport: 'udp', side: 'unspecified', family: undefined },
        remote: { host: 'vpn.example.com', port: 1194 },
        localHost: undefined,
        localPort: 1194,
        bind: false,
        bindIpv6Only: false,
        float: false,
        raceDelayMs: 2000,
        retrySeconds: 1,
        retryMaxSeconds: 300,
        connectTimeoutSeconds: 120,
        tunMtu: 1500,
        tunMtuMax: 1600,
        fragment: undefined,
        occMtu: 1500,
        mssFix: { bytes: 1492, basis: 'outer' },
        maxControlPacketBytes: 1250,
        exitNotify: 0,
        controlWrap: { kind: 'none' },
        socket: { sendBufferBytes: undefined, receiveBufferBytes: undefined, noDelay: false },
      },
    ]);
    expect(options.listeners).toEqual([]);
    expect(options.ping).toEqual({
      sendSeconds: 0,
      timeout: { seconds: 120, action: 'restart' },
      onlyWithRemote: false,
    });
    expect(options.link.resolveRetrySeconds).toBe(Number.POSITIVE_INFINITY);
    expect(options.tls.versionMin).toBe('1.2');
    expect(options.tls.renegotiation).toEqual({
      maxSeconds: 3600,
      minSeconds: undefined,
      bytes: undefined,
      packets: 0,
    });
    expect(options.dataChannel.dataCiphers).toBe('AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305');
    expect(options.dataChannel.replayWindow).toEqual({ packets: 64, seconds: 15 });
    expect(options.log.verbosity).toBe(1);
    expect(options.device.topology).toBe('net30');
  });
  test('is frozen to the bottom', () => {
    expect(Object.isFrozen(options.connections[0]?.remote)).toBe(true);
    expect(Object.isFrozen(options.routes.routes)).toBe(true);
  });
  test('binds when asked to', () => {
    expect(good(`${CLIENT}lport 99\n`).connections[0]).toMatchObject({ bind: true, localPort: 99 });
    expect(good(`${CLIENT}bind\n`).connections[0]).toMatchObject({ bind: true, localPort: 1194 });
    expect(good(`${CLIENT}local 10.1.1.1\n`).connections[0]).toMatchObject({ bind: true, localHost: '10.1.1.1' });
    expect(good(`${CLIENT}port 99\n`).connections[0]).toMatchObject({ bind: false, remote: { port: 99 } });
  });
});

test('remotes take port and protocol of their own', () => {
  const { connections } = good(`${CLIENT}rport 5000\nremote b 6000\nremote c 7000 udp6\n`);
  expect(connections.map((entry) => [entry.remote?.host, entry.remote?.port, entry.protocol.family])).toEqual([
    ['vpn.example.com', 5000, undefined],
    ['b', 6000, undefined],
    ['c', 7000, 6],
  ]);
});

test('a <connection> block takes what precedes it and leaves nothing behind', () => {
  const { connections } = good(
    `${CLIENT}mssfix 1300 fixed\n<connection>\nremote a 1\nmssfix 1200\nexplicit-exit-notify 2\n</connection>\n` +
      '<connection>\nremote b 2\n</connection>\n',
  );
  expect(connections.map((entry) => [entry.remote?.host, entry.mssFix, entry.exitNotify])).toEqual([
    ['a', { bytes: 1200, basis: 'payload' }, 2],
    ['b', { bytes: 1300, basis: 'fixed' }, 0],
  ]);
});

test('a wrap key outside serves the blocks without one, wherever it stands', () => {
  const block = (content: string): string => `<connection>\nremote a\n${content}</connection>\n`;
  const { connections } = good(`${CLIENT}${block('')}${block('tls-crypt own.key\n')}tls-auth ta.key 1\n`);
  expect(connections[0]?.controlWrap).toMatchObject({ kind: 'tls-auth', direction: 1, key: { path: 'ta.key' } });
  expect(connections[1]?.controlWrap).toMatchObject({ kind: 'tls-crypt', key: { path: 'own.key' } });
});

test('tls-crypt-v2 of a block replaces every global key; a server may have another wrap beside it', () => {
  const block = '<connection>\nremote a\ntls-crypt-v2 own.key\n</connection>\n';
  const { connections } = good(`${CLIENT}${block}tls-auth ta.key 1\n`);
  expect(connections[0]?.controlWrap).toMatchObject({
    kind: 'tls-crypt-v2',
    key: { path: 'own.key' },
    forceCookie: false,
    beside: { kind: 'none' },
  });
  const server = good(
    'dev tun\nserver 10.8.0.0 255.255.255.0\nca a\ncert b\nkey c\ndh none\nkeepalive 10 60\n' +
      'tls-crypt-v2 v2.key force-cookie\ntls-crypt old.key\ntls-crypt-v2-max-age 30\ntls-crypt-v2-verify "check it"\n',
  );
  expect(server.connections[0]?.controlWrap).toMatchObject({
    kind: 'tls-crypt-v2',
    forceCookie: true,
    beside: { kind: 'tls-crypt', key: { path: 'old.key' } },
  });
  expect(server.tls).toMatchObject({ clientKeyMaxAgeDays: 30, clientKeyVerify: 'check it' });
});

test('files keep where they were named, inline blocks their text', () => {
  const { tls } = good('client\ndev tun\nremote a\nca ca.crt\n<cert>\nAAA\n</cert>\n<key>\nBBB\n</key>\n');
  expect(tls.ca).toEqual({ kind: 'file', option: 'ca', path: 'ca.crt', origin: { file: 't.conf', line: 4 } });
  expect(tls.cert).toEqual({ kind: 'inline', option: 'cert', text: 'AAA\n', origin: { file: 't.conf', line: 5 } });
});

test('routes', () => {
  const { routes } = good(
    `${CLIENT}route 10.1.0.0 255.255.0.0\nroute 10.2.2.2\nroute 10.3.0.0 255.255.0.0 vpn_gateway 5\n` +
      'route 10.4.0.0 255.255.0.0 default 7\nroute-ipv6 fd00:1::/48\nroute-ipv6 2001::/3 fd00::1 9\n' +
      'redirect-gateway def1 ipv6\nredirect-gateway bypass-dhcp\nroute-metric 50\n',
  );
  expect(routes.routes.map(({ origin: _, ...route }) => route)).toEqual([
    { network: '10.1.0.0', netmask: '255.255.0.0', gateway: undefined, metric: undefined },
    { network: '10.2.2.2', netmask: '255.255.255.255', gateway: undefined, metric: undefined },
    { network: '10.3.0.0', netmask: '255.255.0.0', gateway: 'vpn_gateway', metric: 5 },
    { network: '10.4.0.0', netmask: '255.255.0.0', gateway: undefined, metric: 7 },
  ]);
  expect(routes.routesIpv6.map(({ origin: _, ...route }) => route)).toEqual([
    { network: 'fd00:1::', bits: 48, gateway: undefined, metric: undefined },
    { network: '2000::', bits: 3, gateway: 'fd00::1', metric: 9 },
  ]);
  expect(routes.redirect).toMatchObject({ reroute: true, ipv4: true, ipv6: true, def1: true, bypassDhcp: true });
  expect(routes.metric).toBe(50);
});

test('max-packet-size sets control packets and mssfix; mssfix 0 switches off; another MTU changes the default', () => {
  expect(good(`${CLIENT}max-packet-size 1200\n`).connections[0]).toMatchObject({
    maxControlPacketBytes: 1200,
    mssFix: { bytes: 1200, basis: 'outer' },
  });
  expect(good(`${CLIENT}max-packet-size 5000\n`).connections[0]?.maxControlPacketBytes).toBe(2048);
  expect(good(`${CLIENT}mssfix 0\n`).connections[0]?.mssFix).toBeUndefined();
  expect(good(`${CLIENT}tun-mtu 1400\n`).connections[0]?.mssFix).toEqual({ bytes: 1400, basis: 'fixed' });
});

test('setenv keeps variables and takes its own names', () => {
  const { process, tls } = good(`${CLIENT}setenv UV_ONE 1\nsetenv PUSH_PEER_INFO\nsetenv FORWARD_COMPATIBLE 1\n`);
  expect(process.environment).toEqual([{ name: 'UV_ONE', value: '1' }]);
  expect(tls.pushPeerInfo).toBe(true);
});

describe('the command line', () => {
  const files = filesOf({ 'c.conf': CLIENT, 'dir/inner.conf': 'verb 5\n' });
  const parse = (...argv: string[]): unknown => {
    const result = parseArguments(argv, files);
    return result.ok ? (result.standAlone ?? result.options.log.verbosity) : result.errors.join('\n');
  };
  test('a bare argument is a file', () => expect(parse('c.conf')).toBe(1));
  test('options come before and after a file', () => {
    expect(parse('--verb', '3', '--config', 'c.conf')).toBe(3);
    expect(parse('--config', 'c.conf', '--cd', 'dir', '--config', 'inner.conf')).toBe(5);
  });
  test('help and version end the reading', () => {
    expect(parse()).toBe('help');
    expect(parse('--help', '--nonsense')).toBe('help');
    expect(parse('--version')).toBe('version');
  });
  test.each([
    [['nope'], 'Options error: In [CMD-LINE]:1: Error opening configuration file: nope'],
    [['--config', 'nope'], 'Options error: In [CMD-LINE]:1: Error opening configuration file: nope'],
    [
      ['verb', '3'],
      `Options error: I'm trying to parse "verb" as an --option parameter but I don't see a leading '--'`,
    ],
    [['--verb', '3', '4'], 'Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: verb'],
    [['--foo'], 'Options error: Unrecognized option or missing or extra parameter(s) in [CMD-LINE]:1: foo'],
    [['--iroute', '10.0.0.0'], "Options error: option 'iroute' cannot be used in this context ([CMD-LINE]"],
  ])('%j', (argv, start) => expect(parse(...argv)).toContain(start));
});

test('config may nest ten deep, not eleven', () => {
  const texts: Record<string, string> = { 'end.conf': CLIENT };
  for (let level = 1; level <= 12; level += 1)
    texts[`${level}.conf`] = `config ${level === 1 ? 'end' : level - 1}.conf\n`;
  const parse = (name: string): boolean => parseArguments([name], filesOf(texts)).ok;
  expect(parse('9.conf')).toBe(true);
  expect(parse('10.conf')).toBe(false);
  const loop = parseArguments(['a.conf'], filesOf({ 'a.conf': 'config a.conf\n' }));
  expect(loop.ok ? '' : loop.errors[0]).toMatch(
    /^Options error: In a\.conf:1: Maximum recursive include levels exceeded in include attempt of file a\.conf/,
  );
});

test('all files together have a limit', () => {
  const filler = `#${'x'.repeat(200)}\n`.repeat(8000);
  const texts = { 'a.conf': `${filler}config b.conf\nconfig b.conf\nconfig b.conf\n`, 'b.conf': filler };
  const result = parseArguments(['a.conf'], filesOf(texts));
  expect(result.ok ? '' : result.errors[0]).toContain('4194304 bytes');
});

describe('unknown options', () => {
  test('are an error that names a neighbour', () => {
    expect(error(`${CLIENT}remot x\n`)).toBe(
      "Options error: Unrecognized option or missing or extra parameter(s) in t.conf:7: remot (there is no such option; did you mean 'remote'?)",
    );
  });
  test('are tolerated when the file says so', () => {
    for (const line of [
      'setenv opt foo 1',
      'ignore-unknown-option foo bar\nfoo 1',
      'setenv FORWARD_COMPATIBLE 1\nfoo',
    ]) {
      expect(warnings(`${CLIENT}${line}\n`).join()).toContain('Unrecognized option or missing or extra parameter(s)');
    }
  });
  test('setenv opt still takes effect for a known one, and is no way around the context', () => {
    expect(good(`${CLIENT}setenv opt verb 4\n`).log.verbosity).toBe(4);
    expect(error(`${CLIENT}setenv opt iroute 10.0.0.0\n`)).toContain('cannot be used in this context');
    expect(error(`${CLIENT}setenv opt verb x\n`)).toContain("Cannot parse 'x' as integer");
  });
});

describe('sizes of packets', () => {
  const entry = (lines: string): ConnectionEntry => {
    const [first] = good(`${CLIENT}${lines}\n`).connections;
    if (first === undefined) throw new Error('no connection');
    return first;
  };

  test('fragment, with and without headers; mssfix follows it unless it is given', () => {
    expect(entry('fragment 1200')).toMatchObject({
      fragment: { bytes: 1200, basis: 'payload' },
      mssFix: { bytes: 1200, basis: 'payload' },
    });
    expect(entry('fragment 1300 mtu\nmssfix 1200')).toMatchObject({
      fragment: { bytes: 1300, basis: 'outer' },
      mssFix: { bytes: 1200, basis: 'payload' },
    });
    expect(error(`${CLIENT}proto tcp\nfragment 1200\n`)).toContain('--fragment can only be used with --proto udp');
    expect(error(`${CLIENT}fragment 67\n`)).toContain('--fragment needs to be at least 68');
    expect(error(`${CLIENT}fragment 1200 foo\n`)).toContain('Unknown parameter to --fragment: foo');
  });
  test('fragment below mssfix, or counted another way, is warned of', () => {
    expect(warnings(`${CLIENT}fragment 1200\nmssfix 1300\n`).join()).toContain('you should set --fragment (1200)');
    expect(warnings(`${CLIENT}fragment 1200\nmssfix 1200 mtu\n`).join()).toContain('use the "mtu" flag for both');
    expect(warnings(`${CLIENT}fragment 1200\nmssfix 1200\n`).join()).not.toContain('--fragment');
  });
  test('tun-mtu-max is never below 1600 nor below tun-mtu', () => {
    expect(entry('tun-mtu-max 1400').tunMtuMax).toBe(1600);
    expect(entry('tun-mtu-max 9000').tunMtuMax).toBe(9000);
    expect(entry('tun-mtu 4000').tunMtuMax).toBe(4000);
    expect(error(`${CLIENT}tun-mtu-max 9\n`)).toContain('tun-mtu-max');
  });
});

describe('compression', () => {
  const compression = (lines: string): unknown => good(`${CLIENT}${lines}\n`).dataChannel.compression;

  test.each([
    ['verb 3', undefined, true, true],
    ['compress', 'stub', false, true],
    ['compress stub', 'stub', false, true],
    ['compress stub-v2', 'stub-v2', false, true],
    ['compress lzo', 'lzo', false, false],
    ['compress lz4', 'lz4', false, false],
    ['compress lz4-v2', 'lz4-v2', false, false],
    ['comp-lzo', 'lzo', false, false],
    ['comp-lzo yes', 'lzo', false, false],
    ['comp-lzo adaptive', 'lzo', false, false],
    ['comp-lzo no', 'lzo-stub', false, false],
    ['allow-compression no', undefined, true, true],
    ['allow-compression asym', undefined, false, false],
    ['allow-compression no\ncomp-lzo no', 'lzo-stub', true, true],
  ])('%s', (lines, algorithm, stubsOnly, advertiseStubsOnly) =>
    expect(compression(lines)).toEqual({ algorithm, migrate: false, stubsOnly, advertiseStubsOnly }),
  );
  test('compress migrate', () => {
    expect(compression('compress migrate')).toMatchObject({ algorithm: undefined, migrate: true, stubsOnly: false });
  });
  test('receiving is warned of, and that sending is not done is said', () => {
    expect(warnings(`${CLIENT}comp-lzo\n`).join()).toContain('WARNING: Compression for receiving enabled.');
    expect(warnings(`${CLIENT}compress\n`).join()).not.toContain('Compression');
    expect(warnings(`${CLIENT}allow-compression yes\n`).join()).toContain('never compressed');
  });
});

describe('options that are not supported', () => {
  test.each(['daemon', 'plugin x.so', 'up script', 'chroot x', 'shaper 5', 'dev tap'])('%s is refused', (line) =>
    expect(error(`${CLIENT}${line}\n`)).toMatch(/^Options error: .*(not supported yet|is not supported)/),
  );
  test('no compressed packets without allow-compression, and none at all in a word that we do not know', () => {
    expect(error(`${CLIENT}compress snappy\n`)).toContain('bad comp option: snappy');
    expect(error(`${CLIENT}allow-compression no\ncompress lz4\n`)).toContain(
      "Compression is not allowed since allow-compression is set to 'stub-only'",
    );
    expect(error(`${CLIENT}comp-lzo\nallow-compression no\n`)).toContain(
      "'--allow-compression no' conflicts with  enabling compression",
    );
    expect(error(`${CLIENT}allow-compression no\nallow-compression asym\n`)).toContain(
      "Cannot set allow-compression to 'asym' after set to 'no'",
    );
  });
  test.each(['crl-verify x dir', 'auth-user-pass', 'auth-retry interact', 'dev-node unix:x'])('%s is refused', (line) =>
    expect(error(`${CLIENT}${line}\n`)).toContain('not supported yet'),
  );
  test('what OpenVPN ignores is ignored with its note', () => {
    expect(warnings(`${CLIENT}max-routes 5\ndisable-dco\necho hello\n`).join()).toContain(
      'DEPRECATED OPTION: --max-routes option ignored.',
    );
  });
  test.each([
    ['ncp-disable', 'Unrecognized option or missing or extra parameter(s) in t.conf:7: ncp-disable'],
    ['compat-names', '--compat-names was removed in OpenVPN 2.5. Update your configuration.'],
    ['block-outside-dns', 'Unrecognized option or missing or extra parameter(s) in t.conf:7: block-outside-dns'],
  ])('%s is refused', (line, text) => expect(error(`${CLIENT}${line}\n`)).toContain(text));
  test('a removed option with words of its own', () => {
    expect(error(`${CLIENT}client-cert-not-required\n`)).toMatch(/^REMOVED OPTION: --client-cert-not-required/);
  });
});

test('a server of the quick start', () => {
  const options = good(
    `${SERVER}server 10.8.0.0 255.255.255.0\ntopology subnet\nkeepalive 10 60\npush "route 10.9.0.0 255.255.0.0"\n`,
  );
  expect(options.server).toMatchObject({ maxClients: 1024, connectFreqInitial: { count: 100, seconds: 10 } });
  expect(options.server?.push).toEqual([
    'route 10.9.0.0 255.255.0.0',
    'route-gateway 10.8.0.1',
    'topology subnet',
    'ping 10',
    'ping-restart 60',
  ]);
  expect(options.ping).toMatchObject({ sendSeconds: 10, timeout: { seconds: 120, action: 'restart' } });
  expect(options.connections).toMatchObject([{ remote: undefined, bind: true, localPort: 1194 }]);
});
