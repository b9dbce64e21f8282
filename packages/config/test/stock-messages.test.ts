import { expect, test } from 'vitest';
import { parseConfigText } from '../src/index.js';

const SERVER = 'dev tun\nca c.pem\ncert c.pem\nkey k.pem\ndh none\n';
const CLIENT = 'dev tun\nca c.pem\ncert c.pem\nkey k.pem\n';

/** A tunnel with a static key, without its end. */
const SECRET = 'dev tun\nremote x\nifconfig 10.8.0.1 10.8.0.2\ncipher AES-256-CBC\nsecret k.pem\n';

/** The first words of OpenVPN 2.6.14 about these configurations, taken from the running program. */
const MESSAGES: readonly (readonly [config: string, words: string])[] = [
  ['server 10.8.0.0 255.255.255.0 nopol', 'Options error: error parsing --server: nopol is not a recognized flag'],
  ['server-ipv6 fd00::/30', 'Options error: --server-ipv6 settings: network must be between /64 and /124 (not /30)'],
  [
    'ifconfig-ipv6-pool fd00::/63',
    'Options error: --ifconfig-ipv6-pool settings: network must be between /64 and /124 (not /63)',
  ],
  [
    'ifconfig-pool 10.8.0.2 10.8.0.1',
    'Options error: --ifconfig-pool start IP [10.8.0.2] is greater than end IP [10.8.0.1]',
  ],
  [
    'ifconfig-pool 10.8.0.2 10.200.0.1',
    'Options error: --ifconfig-pool address range is too large [10.8.0.2 -> 10.200.0.1].  Current maximum is 65536 addresses',
  ],
  [
    'ifconfig-ipv6 fd00::1/128 fd00::2',
    "Options error: ifconfig-ipv6: /netbits must be between 64 and 124, not '/128'",
  ],
  ['protocol-flags foo', 'Options error: Unknown protocol-flags flag: foo'],
  ['topology foo', 'Options error: --topology must be net30, p2p, or subnet'],
  ['tls-version-min 1.4', 'Options error: unknown tls-version-min parameter: 1.4'],
  ['tls-version-max 1.9', 'Options error: unknown tls-version-max parameter: 1.9'],
  ['verify-x509-name a b', 'Options error: unknown X.509 name type: b'],
  ['proto foo', "Options error: Bad protocol: 'foo'"],
  ['redirect-gateway foo', 'Options error: unknown --redirect-gateway flag: foo'],
  ['redirect-private foo', 'Options error: unknown --redirect-private flag: foo'],
  ['pull-filter foo x', 'Options error: Unknown --pull-filter type: foo'],
  ['dns server a address 1.2.3.4', "Options error: --dns server: invalid priority value 'a'"],
  ['dns search-domains', "Options error: --dns: unknown option type 'search-domains' or missing or unknown parameter"],
  ['tls-auth f 2', "Options error: Unknown key direction '2' -- must be '0' or '1'"],
  ['key-direction 2', "Options error: Unknown key direction '2' -- must be '0' or '1'"],
  ['push a b', 'Options error: Unrecognized option or missing or extra parameter(s) in t.conf:1: push'],
  ['mode foo', 'Options error: Bad --mode parameter: foo'],
  ['auth-retry x', "Options error: --auth-retry method must be 'interact', 'nointeract', or 'none'"],
  ['remote-cert-tls x', "Options error: --remote-cert-tls must be 'client' or 'server'"],
  ['allow-compression x', "Options error: bad allow-compression option: x -- must be 'yes', 'no', or 'asym'"],
  ['mssfix 1 x', 'Options error: Unknown parameter to --mssfix: x'],
  ['key-derivation x', 'Options error: Unknown key-derivation method x'],
  ['mtu-dynamic', 'Options error: --mtu-dynamic has been replaced by --fragment'],
  ['push-continuation 1', "Options error: option 'push-continuation' cannot be used in this context (t.conf"],
  ['push-reset', "Options error: option 'push-reset' cannot be used in this context (t.conf"],
  ['<connection>\nverb 3\n</connection>', "Options error: option 'verb' cannot be used in this context ("],
  ['<push>\nxx\n</push>', "Options error: option 'push' is not expected to be inline (t.conf:1)"],
  ['<ca>\nx', 'ERROR: Endtag </ca> missing'],
  ['verb "3', 'Options error: No closing quotation (") in t.conf:1'],
  ["verb '3", "Options error: No closing single quotation (') in t.conf:1"],
  ['verb \\x', "Options warning: Bad backslash ('\\') usage in t.conf:1: "],
  [
    `verb ${'a'.repeat(300)}`,
    'Options error: In t.conf:1: Maximum option line length (256) exceeded, line starts with verb a',
  ],
  [
    'auth-user-pass-verify ./x',
    "Options error: --auth-user-pass-verify requires a second parameter ('via-env' or 'via-file')",
  ],
  [
    'auth-user-pass-verify ./x foo',
    "Options error: second parm to --auth-user-pass-verify must be 'via-env' or 'via-file'",
  ],
  [
    'auth-user-pass-verify',
    'Options error: Unrecognized option or missing or extra parameter(s) in t.conf:1: auth-user-pass-verify',
  ],
  ['auth-gen-token 10 foo', 'Options error: Invalid argument to auth-gen-token: foo (2)'],
  ['auth-gen-token 10 20 30', 'Options error: Invalid argument to auth-gen-token: 30 (3)'],
  [
    'auth-gen-token-secret',
    'Options error: Unrecognized option or missing or extra parameter(s) in t.conf:1: auth-gen-token-secret',
  ],
  [
    `${SERVER}mode server\ntls-server\nauth-gen-token\nreneg-sec 0`,
    'Options error: --auth-gen-token needs a non-infinite --renegotiate_seconds setting',
  ],
  [
    `${SERVER}mode server\ntls-server\nauth-gen-token\nreneg-sec 10`,
    'Options error: --auth-gen-token renewal time needs to be at least  two times --hand-window (60).',
  ],
  [
    `${SERVER}mode server\ntls-server\nauth-gen-token 0 29\nhand-window 15`,
    'Options error: --auth-gen-token renewal time needs to be at least  two times --hand-window (15).',
  ],
  [`${CLIENT}client\nremote 1.2.3.4\nauth-gen-token`, 'Options error: --auth-gen-token requires --mode server'],
  [
    `${CLIENT}client\nremote 1.2.3.4\nauth-user-pass-verify /bin/true via-env`,
    'Options error: --auth-user-pass-verify requires --mode server',
  ],
  ['verb 3', 'Options error: You must define TUN/TAP device (--dev)'],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nclient\nremote x`,
    'Options error: --server and --client cannot be used together',
  ],
  [
    `${SERVER}server-ipv6 fd00::/64\nclient\nremote x`,
    'Options error: --server-ipv6 and --client cannot be used together',
  ],
  [
    `${SERVER}server-ipv6 fd00::/64\nserver 10.8.0.0 255.255.255.0 nopool`,
    "Options error: --server-ipv6 is incompatible with 'nopool' option",
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nifconfig-pool 10.8.0.2 10.8.0.9`,
    "Options error: --server already defines an ifconfig-pool, so you can't also specify --ifconfig-pool explicitly",
  ],
  [
    `${SERVER}server 10.8.0.1 255.255.255.0`,
    'Options error: --server directive network/netmask combination is invalid',
  ],
  [
    `${SERVER}server 10.0.0.0 255.0.0.0`,
    'Options error: --server directive netmask allows for too many host addresses (subnet must be 255.255.0.0 (/16) or higher)',
  ],
  [
    `${SERVER}server 10.0.0.0 255.255.255.252`,
    'Options error: --server directive when used with --dev tun must define a subnet of 255.255.255.248 (/29) or lower',
  ],
  [`${SERVER}server 10.8.0.0 255.255.255.0\nremote x`, 'Options error: --remote cannot be used with --mode server'],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nnobind`,
    "Options error: --nobind doesn't make sense unless used with --remote",
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nredirect-gateway`,
    'Options error: --redirect-gateway cannot be used with --mode server (however --push "redirect-gateway" is fine)',
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nroute-delay`,
    'Options error: --route-delay cannot be used with --mode server',
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nauth-user-pass c.pem`,
    'Options error: --auth-user-pass cannot be used with --mode server (it should be used on the client side only)',
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nccd-exclusive`,
    'Options error: --ccd-exclusive must be used with --client-config-dir',
  ],
  [`${SERVER}mode server`, 'Options error: --mode server requires --tls-server'],
  [
    `${SERVER}mode server\ntls-server\nifconfig-ipv6-pool fd00::/64`,
    'Options error: --ifconfig-ipv6-pool needs --ifconfig-ipv6',
  ],
  [`${SERVER}server 10.8.0.0 255.255.255.0\nkeepalive 0 1`, 'Options error: --keepalive parameters must be > 0'],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nkeepalive 10 19`,
    'Options error: the second parameter to --keepalive (restart timeout=19) must be at least twice the value of the first parameter (ping interval=10).',
  ],
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\nkeepalive 10 60\nping 5`,
    'Options error: --keepalive conflicts with --ping, --ping-exit, or --ping-restart.',
  ],
  [`${CLIENT}client\nremote x\nbind\nnobind`, "Options error: --bind and --nobind can't be used together"],
  [
    `${CLIENT}client\nremote x\nlocal 1.2.3.4\nnobind`,
    "Options error: --local and --nobind don't make sense when used together",
  ],
  [
    `${CLIENT}client\nremote x\nlport 5\nnobind`,
    "Options error: --lport and --nobind don't make sense when used together",
  ],
  [`${CLIENT}tls-client\nnobind`, "Options error: --nobind doesn't make sense unless used with --remote"],
  [
    `${CLIENT}tls-client\nremote x\nifconfig 10.1.1.1 10.1.1.1`,
    'Options error: local and remote/netmask --ifconfig addresses must be different',
  ],
  [
    `${CLIENT}tls-client\nremote 10.1.1.2\nifconfig 10.1.1.1 10.1.1.2`,
    'Options error: --local and --remote addresses must be distinct from --ifconfig addresses',
  ],
  [`${CLIENT}client\nremote x\nclient-to-client`, 'Options error: --client-to-client requires --mode server'],
  [`${CLIENT}client\nremote x\nduplicate-cn`, 'Options error: --duplicate-cn requires --mode server'],
  [`${CLIENT}client\nremote x\nconnect-freq 1 1`, 'Options error: --connect-freq requires --mode server'],
  [
    `${CLIENT}client\nremote x\nclient-config-dir .`,
    'Options error: --client-config-dir/--ccd-exclusive requires --mode server',
  ],
  [
    `${CLIENT}client\nremote x\nifconfig-pool 10.8.0.2 10.8.0.9`,
    'Options error: --ifconfig-pool/--ifconfig-pool-persist requires --mode server',
  ],
  [
    `${CLIENT}client\nremote x\ntls-version-min 1.3\ntls-version-max 1.2`,
    'Options error: --tls-version-min bigger than --tls-version-max',
  ],
  [
    `${CLIENT}client\nremote x\ntls-auth k.pem\ntls-crypt k.pem`,
    'Options error: --tls-auth and --tls-crypt are mutually exclusive',
  ],
  [
    `${CLIENT}client\nremote x\ntls-auth k.pem\ntls-crypt-v2 k.pem`,
    'Options error: --tls-crypt-v2, --tls-auth and --tls-crypt are mutually exclusive in client mode',
  ],
  [
    `${CLIENT}client\nremote x\ntls-crypt-v2 k.pem sometimes`,
    'Options error: Unsupported tls-crypt-v2 argument: sometimes',
  ],
  [`${CLIENT}tls-client\nremote x\nauth-user-pass c.pem`, 'Options error: --auth-user-pass requires --pull'],
  ['client\ndev tun\nremote x\ncert c.pem\nkey k.pem', 'Options error: You must define CA file (--ca)'],
  [
    'client\ndev tun\nremote x\nca c.pem\ncert c.pem',
    'Options error: If you use one of --cert or --key, you must use them both',
  ],
  [
    'client\ndev tun\nremote x\nca c.pem',
    'Options error: No client-side authentication method is specified.  You must use either --cert/--key, --pkcs12, or --auth-user-pass',
  ],
  [`${SECRET}tls-client`, 'Options error: specify only one of --tls-server, --tls-client, or --secret'],
  [`${SECRET}server 10.8.0.0 255.255.255.0`, 'Options error: --server and --secret cannot be used together'],
  [`${SECRET}pull`, 'Options error: Parameter --pull can only be specified in TLS-mode'],
  [`${SECRET}ca c.pem`, 'Options error: Parameter ca_file can only be specified in TLS-mode'],
  [`${SECRET}tls-auth k.pem`, 'Options error: Parameter tls_auth_file can only be specified in TLS-mode'],
  [`${SECRET}remote-cert-tls server`, 'Options error: Parameter remote_cert_ku[0] can only be specified in TLS-mode'],
  [`${SECRET}reneg-sec 60`, 'Options error: Parameter renegotiate_seconds can only be specified in TLS-mode'],
  [`${SECRET}proto tcp-client\nmtu-test`, 'Options error: --mtu-test only makes sense with --proto udp'],
];

/** Here OpenVPN has the same words, but stumbles over a consequence of the mistake before it comes to them. */
const CLEARER: readonly (readonly [config: string, words: string])[] = [
  [
    `${SERVER}server 10.8.0.0 255.255.255.0\n<connection>\nremote x\n</connection>`,
    'Options error: <connection> cannot be used with --mode server',
  ],
  [`${SERVER}mode server\ntls-server\npull`, 'Options error: --pull cannot be used with --mode server'],
  [
    `${CLIENT}tls-client\ntls-server\nremote x`,
    'Options error: specify only one of --tls-server, --tls-client, or --secret',
  ],
];

test.each([...MESSAGES, ...CLEARER])('%j', (config, words) => {
  const result = parseConfigText(`${config}\n`, 't.conf');
  expect(result.ok ? 'accepted' : result.errors[0]?.startsWith(words) ? words : result.errors[0]).toBe(words);
});

test('every message is one line', () => {
  for (const [config] of [...MESSAGES, ...CLEARER]) {
    const result = parseConfigText(`${config}\n`, 't.conf');
    expect(result.ok ? [] : result.errors).toHaveLength(1);
    expect(result.ok ? '' : result.errors[0]).not.toContain('\n');
  }
});
