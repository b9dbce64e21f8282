import type { PeerCertificate } from '@openvpnd/control-tls';
import { silentLog } from '@openvpnd/sans-io';
import { describe, expect, test } from 'vitest';
import { type PeerPolicy, remoteCertTls, verifyPeer } from '../src/index.js';

const LEAF: PeerCertificate = {
  depth: 0,
  raw: new Uint8Array(3),
  subject: 'C=NL, O=Example, CN=server1',
  issuer: 'CN=ca',
  commonName: 'server1',
  serialNumber: '1',
  keyUsage: 0xa0,
  extendedKeyUsage: ['1.3.6.1.5.5.7.3.1'],
  sha256: new Uint8Array(32),
};
const CA: PeerCertificate = {
  ...LEAF,
  depth: 1,
  subject: 'CN=ca',
  commonName: 'ca',
  extendedKeyUsage: [],
  keyUsage: 0x06,
};

function passes(policy: Partial<PeerPolicy>, certificates: readonly PeerCertificate[] = [LEAF, CA]): boolean {
  return verifyPeer({ requireCertificate: true, ...policy }, certificates, silentLog);
}

test('a peer without certificate passes only where none is required', () => {
  expect(passes({})).toBe(true);
  expect(passes({}, [])).toBe(false);
  expect(passes({}, [CA])).toBe(false);
  expect(passes({ requireCertificate: false }, [])).toBe(true);
});

test('a certificate without a common name is refused', () => {
  expect(passes({}, [{ ...LEAF, commonName: undefined }])).toBe(false);
  expect(passes({ requireCertificate: false }, [{ ...LEAF, commonName: undefined }])).toBe(false);
});

describe('remote-cert-tls', () => {
  test('a server certificate serves as server, not as client', () => {
    expect(passes(remoteCertTls('server'))).toBe(true);
    expect(passes(remoteCertTls('client'))).toBe(false);
  });
  test('without either extension it is refused', () => {
    expect(passes(remoteCertTls('server'), [{ ...LEAF, keyUsage: undefined }])).toBe(false);
    expect(passes(remoteCertTls('server'), [{ ...LEAF, extendedKeyUsage: [] }])).toBe(false);
  });
  test('the extension of the CA does not count', () => {
    expect(
      passes(remoteCertTls('server'), [
        { ...LEAF, extendedKeyUsage: [] },
        { ...CA, extendedKeyUsage: LEAF.extendedKeyUsage },
      ]),
    ).toBe(false);
  });
});

test('remote-cert-ku wants all bits of one value', () => {
  expect(passes({ keyUsage: [0x08, 0xa0] })).toBe(true);
  expect(passes({ keyUsage: [0x88] })).toBe(false);
});

test('remote-cert-eku takes the identifier as well', () => {
  expect(passes({ extendedKeyUsage: '1.3.6.1.5.5.7.3.1' })).toBe(true);
  expect(passes({ extendedKeyUsage: '1.3.6.1.5.5.7.3' })).toBe(false);
});

test.each([
  ['subject', 'C=NL, O=Example, CN=server1', 'C=NL, O=Example, CN=server'],
  ['name', 'server1', 'server'],
  ['name-prefix', 'serv', 'erver'],
] as const)('verify-x509-name %s', (kind, good, bad) => {
  expect(passes({ name: { kind, value: good } })).toBe(true);
  expect(passes({ name: { kind, value: bad } })).toBe(false);
  expect(passes({ name: { kind, value: '' } })).toBe(false);
});

test('the log tells the chain from the root down, and no OK for a leaf that was refused', () => {
  const lines: string[] = [];
  const record = (event: string, fields?: object): void => void lines.push(`${event} ${JSON.stringify(fields ?? {})}`);
  const log = { error: record, warn: record, info: record, debug: record };
  verifyPeer({ requireCertificate: true, name: { kind: 'name', value: 'server1' } }, [LEAF, CA], log);
  expect(lines).toEqual([
    'verify.ok {"depth":1,"subject":"CN=ca"}',
    'verify.x509name-ok {"name":"server1"}',
    'verify.ok {"depth":0,"subject":"C=NL, O=Example, CN=server1"}',
  ]);
  lines.length = 0;
  verifyPeer({ requireCertificate: true, name: { kind: 'name', value: 'other' } }, [LEAF, CA], log);
  expect(lines.some((line) => line.includes('"depth":0'))).toBe(false);
});
