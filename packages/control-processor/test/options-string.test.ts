import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  cipherOfOptionsString,
  compareOptionsStrings,
  expectedOptionsString,
  type OptionsStringInput,
  optionsString,
  withCompLzo,
} from '../src/index.js';
import vectors from './vectors/options_string.json' with { type: 'json' };

const CLIENT: OptionsStringInput = {
  role: 'client',
  pointToPoint: false,
  deviceType: 'null',
  tunMtu: 1500,
  protocol: 'udp',
  dataCiphers: ['AES-256-GCM', 'AES-128-GCM', 'CHACHA20-POLY1305'],
  auth: 'SHA1',
  digestBytes: 20,
};
const P2P: OptionsStringInput = { ...CLIENT, pointToPoint: true };
const SHA256 = { auth: 'SHA256', digestBytes: 32 };

/** The configurations from which the vectors were printed. */
const REAL: Record<string, OptionsStringInput> = {
  'real-srv_gcm-server': { ...CLIENT, role: 'server', deviceType: 'tun', dataCiphers: ['AES-256-GCM'] },
  'real-srv_gcm-client': { ...P2P, cipher: 'AES-256-GCM' },
  'real-srv_cbc-server': {
    ...CLIENT,
    ...SHA256,
    role: 'server',
    deviceType: 'tun',
    dataCiphers: ['AES-256-CBC'],
    tlsAuth: true,
    keyDirection: 0,
  },
  'real-srv_cbc-client': { ...P2P, ...SHA256, cipher: 'AES-256-CBC', tlsAuth: true, keyDirection: 1 },
  'real-prf_gcm-server': { ...P2P, role: 'server', cipher: 'AES-256-GCM' },
  'real-prf_gcm-client': { ...P2P, cipher: 'AES-256-GCM' },
  'real-prf_cbc-server': { ...P2P, ...SHA256, role: 'server', cipher: 'AES-256-CBC', tlsAuth: true, keyDirection: 0 },
  'real-prf_cbc-client': { ...P2P, ...SHA256, cipher: 'AES-256-CBC', tlsAuth: true, keyDirection: 1 },
  'real-static-server': { ...P2P, ...SHA256, role: 'secret', cipher: 'AES-256-CBC', keyDirection: 0 },
  'real-static-client': { ...P2P, ...SHA256, role: 'secret', cipher: 'AES-256-CBC', keyDirection: 1 },
};

describe('vectors of options_string.json', () => {
  for (const { id, inputs, expected } of vectors.vectors) {
    test(id, () => {
      if ('text' in inputs) {
        expect(withCompLzo(inputs.text ?? '')).toBe((expected as { text: string }).text);
        return;
      }
      const real = expected as { local: string; expected_remote: string };
      expect(optionsString(REAL[id]!)).toBe(real.local);
      expect(expectedOptionsString(REAL[id]!)).toBe(real.expected_remote);
    });
  }
});

/** Printed by OpenVPN 2.6.14 at verb 8 as `Local Options String`, one configuration after the other. */
const PRINTED: readonly [string, OptionsStringInput, string][] = [
  [
    'client',
    CLIENT,
    'dev-type null,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, cipher AES-256-GCM',
    { ...CLIENT, cipher: 'AES-256-GCM' },
    'dev-type null,link-mtu 1549,tun-mtu 1500,proto UDPv4,cipher AES-256-GCM,auth [null-digest],keysize 256,key-method 2,tls-client',
  ],
  [
    'client, cipher AES-256-CBC',
    { ...CLIENT, cipher: 'AES-256-CBC' },
    'dev-type null,link-mtu 1557,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 256,key-method 2,tls-client',
  ],
  [
    'client, ChaCha20',
    { ...CLIENT, cipher: 'CHACHA20-POLY1305' },
    'dev-type null,link-mtu 1534,tun-mtu 1500,proto UDPv4,cipher CHACHA20-POLY1305,auth [null-digest],keysize 256,key-method 2,tls-client',
  ],
  [
    'client, CBC with SHA512',
    { ...CLIENT, dataCiphers: ['AES-128-CBC'], cipher: 'AES-128-CBC', auth: 'SHA512', digestBytes: 64 },
    'dev-type null,link-mtu 1601,tun-mtu 1500,proto UDPv4,cipher AES-128-CBC,auth SHA512,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, cipher and auth none',
    { ...CLIENT, dataCiphers: ['none'], cipher: 'none', auth: 'none', digestBytes: 0 },
    'dev-type null,link-mtu 1505,tun-mtu 1500,proto UDPv4,auth [null-digest],keysize 0,key-method 2,tls-client',
  ],
  [
    'client, auth none',
    { ...CLIENT, auth: 'none', digestBytes: 0 },
    'dev-type null,link-mtu 1521,tun-mtu 1500,proto UDPv4,auth [null-digest],keysize 128,key-method 2,tls-client',
  ],
  [
    'client, comp-lzo no',
    { ...CLIENT, compression: 'prefix' },
    'dev-type null,link-mtu 1542,tun-mtu 1500,proto UDPv4,comp-lzo,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, compress stub-v2',
    { ...CLIENT, compression: 'v2' },
    'dev-type null,link-mtu 1541,tun-mtu 1500,proto UDPv4,comp-lzo,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, fragment',
    { ...CLIENT, fragment: true },
    'dev-type null,link-mtu 1545,tun-mtu 1500,proto UDPv4,mtu-dynamic,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, TCP',
    { ...CLIENT, protocol: 'tcp-client' },
    'dev-type null,link-mtu 1543,tun-mtu 1500,proto TCPv4_CLIENT,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, tap',
    { ...CLIENT, deviceType: 'tap', tunMtu: 1400 },
    'dev-type tap,link-mtu 1473,tun-mtu 1400,proto UDPv4,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'p2p with addresses',
    {
      ...P2P,
      deviceType: 'tun',
      tunIpv6: true,
      ifconfig: { kind: 'point-to-point', local: '10.0.0.1', remote: '10.0.0.2' },
    },
    'dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,tun-ipv6,ifconfig 10.0.0.2 10.0.0.1,cipher BF-CBC,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'p2p tap',
    { ...P2P, deviceType: 'tap', ifconfig: { kind: 'subnet', network: '10.0.0.0', netmask: '255.255.255.0' } },
    'dev-type tap,link-mtu 1573,tun-mtu 1500,proto UDPv4,ifconfig 10.0.0.0 255.255.255.0,cipher BF-CBC,auth SHA1,keysize 128,key-method 2,tls-client',
  ],
  [
    'client, tls-auth without direction',
    { ...CLIENT, tlsAuth: true },
    'dev-type null,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,keysize 128,tls-auth,key-method 2,tls-client',
  ],
];

test.each(PRINTED)('as printed by OpenVPN 2.6.14: %s', (_name, input, printed) => {
  expect(optionsString(input)).toBe(`V4,${printed}`);
});

test('the expected string of a TCP client has the server as protocol, and the addresses as they are here', () => {
  expect(expectedOptionsString({ ...CLIENT, protocol: 'tcp-client' })).toContain('proto TCPv4_SERVER');
  const p2p = { ...P2P, ifconfig: { kind: 'point-to-point', local: '10.0.0.1', remote: '10.0.0.2' } } as const;
  expect(expectedOptionsString(p2p)).toContain('ifconfig 10.0.0.1 10.0.0.2');
});

test('the cipher of a string', () => {
  expect(cipherOfOptionsString('V4,cipher AES-256-CBC,auth SHA1')).toBe('AES-256-CBC');
  expect(cipherOfOptionsString('V4,cipher [null-cipher],auth SHA1')).toBe('none');
  expect(cipherOfOptionsString('V4,auth SHA1')).toBeUndefined();
  expect(cipherOfOptionsString('V4,xcipher AES-256-CBC')).toBeUndefined();
});

describe('compareOptionsStrings', () => {
  const expected = 'V4,dev-type tun,link-mtu 1541,tun-mtu 1500,proto UDPv4,auth SHA1,tls-server';

  test('equal strings differ in nothing', () => {
    expect(compareOptionsStrings(expected, expected)).toEqual([]);
  });

  test('each kind of difference is told, and what does not matter is not', () => {
    const received = 'V4,dev-type tap,link-mtu 1541,tun-mtu 1500,proto TCPv4_SERVER,cipher X,comp-lzo,tls-server';
    expect(compareOptionsStrings(expected, received)).toEqual([
      { kind: 'inconsistent', name: 'dev-type', local: 'dev-type tun', remote: 'dev-type tap' },
      { kind: 'missing-in-remote', name: 'auth', local: 'auth SHA1' },
      { kind: 'missing-in-local', name: 'comp-lzo', remote: 'comp-lzo' },
    ]);
  });

  test('what a peer sends is fit for a log and bounded', () => {
    const hostile = Array.from({ length: 500 }, (_, i) => `x${i}\u001b[2J`).join(',');
    const differences = compareOptionsStrings(expected, hostile);
    expect(differences.length).toBeLessThanOrEqual(20);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        for (const { remote } of compareOptionsStrings(expected, text))
          expect(remote ?? '').not.toMatch(/[\u0000-\u001f\u007f]/);
      }),
      { seed: 1, numRuns: 150 },
    );
  });
});
