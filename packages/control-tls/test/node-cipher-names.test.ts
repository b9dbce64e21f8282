import { getCiphers } from 'node:tls';
import { describe, expect, it } from 'vitest';
import { opensslCipherList, opensslCipherSuites, opensslGroups } from '../src/node/cipher-names.js';

describe('cipher names', () => {
  it.each([
    ['TLS-ECDHE-ECDSA-WITH-AES-256-GCM-SHA384', 'ECDHE-ECDSA-AES256-GCM-SHA384'],
    ['TLS-ECDHE-RSA-WITH-AES-128-GCM-SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
    ['TLS-ECDHE-RSA-WITH-AES-256-CBC-SHA384', 'ECDHE-RSA-AES256-SHA384'],
    ['TLS-ECDHE-RSA-WITH-AES-128-CBC-SHA', 'ECDHE-RSA-AES128-SHA'],
    ['TLS-ECDHE-ECDSA-WITH-CHACHA20-POLY1305-SHA256', 'ECDHE-ECDSA-CHACHA20-POLY1305'],
    ['TLS-DHE-RSA-WITH-AES-256-GCM-SHA384', 'DHE-RSA-AES256-GCM-SHA384'],
    ['TLS-DHE-RSA-WITH-AES-256-CBC-SHA256', 'DHE-RSA-AES256-SHA256'],
    ['TLS-RSA-WITH-AES-128-CBC-SHA256', 'AES128-SHA256'],
    ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'ECDHE-RSA-AES128-GCM-SHA256'],
  ])('%s', (iana, openssl) => {
    expect(opensslCipherList(iana)).toBe(openssl);
    expect(getCiphers()).toContain(openssl.toLowerCase());
  });

  it('leave the rest of a list as it is', () => {
    const list = 'DEFAULT:!EXP:ECDHE-RSA-AES256-GCM-SHA384:@SECLEVEL=1';
    expect(opensslCipherList(list)).toBe(list);
    expect(opensslCipherList(`TLS-RSA-WITH-AES-128-GCM-SHA256:${list}`)).toBe(`AES128-GCM-SHA256:${list}`);
  });

  it('of TLS 1.3 are taken with either sign', () => {
    expect(opensslCipherSuites('TLS-AES-256-GCM-SHA384:TLS_AES_128_GCM_SHA256')).toEqual([
      'TLS_AES_256_GCM_SHA384',
      'TLS_AES_128_GCM_SHA256',
    ]);
  });

  it('of groups are those of OpenSSL', () => {
    expect(opensslGroups('secp256r1:X25519')).toBe('prime256v1:X25519');
  });
});
