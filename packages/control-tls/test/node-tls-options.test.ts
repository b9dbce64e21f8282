import { readFileSync } from 'node:fs';
import { pump, TlsParty } from '@openvpnd/control-tls/conformance';
import { type NodeTlsOptions, nodeTlsEngineFactory, TlsOptionsError } from '@openvpnd/control-tls/node';
import { describe, expect, it } from 'vitest';
import { identities, turn } from './node-world.js';

const fixture = JSON.parse(readFileSync(new URL('./vectors/identity.json', import.meta.url), 'utf8')) as Record<
  | 'ca'
  | 'cert'
  | 'key'
  | 'encryptedKey'
  | 'encryptedKeyOldForm'
  | 'pkcs12'
  | 'pkcs12WithoutCaNorPassphrase'
  | 'weakCert'
  | 'weakKey'
  | 'dh',
  string
>;
const good = { ca: fixture.ca, cert: fixture.cert, key: fixture.key };
const pkcs12 = Buffer.from(fixture.pkcs12, 'base64');

async function meet(
  clientOptions: NodeTlsOptions,
  serverOptions: NodeTlsOptions,
): Promise<readonly [TlsParty, TlsParty]> {
  const client = new TlsParty(nodeTlsEngineFactory(clientOptions), 'client');
  const server = new TlsParty(nodeTlsEngineFactory(serverOptions), 'server');
  const settled = (): boolean =>
    server.over || client.over || (client.all('secure').length > 0 && server.all('secure').length > 0);
  await pump({ turn }, [client, server], settled);
  for (const { engine } of [client, server]) engine.close();
  return [client, server];
}

describe('options that work', () => {
  it.each([
    [
      'text around the blocks and CRLF',
      { ...good, ca: `Certificate:\n  Data - here\n${fixture.ca}`.replaceAll('\n', '\r\n') },
    ],
    ['several CAs in one text', { ...good, ca: `${fixture.weakCert}\n${fixture.ca}` }],
    ['bytes', { ca: Buffer.from(fixture.ca), cert: Buffer.from(fixture.cert), key: Buffer.from(fixture.key) }],
    ['an encrypted key', { ...good, key: fixture.encryptedKey, passphrase: 'secret' }],
    ['an encrypted key in the old form', { ...good, key: fixture.encryptedKeyOldForm, passphrase: 'secret' }],
    ['a PKCS#12 file with its CA', { pkcs12, passphrase: 'secret' }],
    ['a PKCS#12 file with a CA beside it', { ca: fixture.ca, pkcs12, passphrase: 'secret' }],
    [
      'a PKCS#12 file without passphrase',
      { ca: fixture.ca, pkcs12: Buffer.from(fixture.pkcs12WithoutCaNorPassphrase, 'base64'), passphrase: '' },
    ],
    [
      'a cipher of TLS 1.2 by its IANA name',
      { ...good, maxVersion: '1.2', ciphers: 'TLS-ECDHE-ECDSA-WITH-AES-128-GCM-SHA256' },
    ],
    ['a suite of TLS 1.3', { ...good, ciphersuites: 'TLS-CHACHA20-POLY1305-SHA256' }],
    ['groups', { ...good, groups: 'secp384r1:secp256r1' }],
    ['a lower TLS version', { ...good, minVersion: '1.0', maxVersion: '1.1' }],
    ['extra certificates', { ...good, extraCerts: fixture.ca }],
    ['a security level', { ...good, securityLevel: 2 }],
  ] as [string, NodeTlsOptions][])('%s', async (_, options) => {
    const parties = await meet(options, options);
    expect(parties.map((party) => party.all('failed'))).toEqual([[], []]);
    const [secure] = parties[0].all('secure');
    expect(secure!.certificates.map(({ subject }) => subject)).toEqual(['CN=fixture', 'CN=Fixture CA']);
    if (options.ciphersuites !== undefined) expect(secure!.cipher).toBe('TLS_CHACHA20_POLY1305_SHA256');
    if (options.ciphers !== undefined) expect(secure!.cipher).toBe('ECDHE-ECDSA-AES128-GCM-SHA256');
    if (options.groups !== undefined) expect(secure!.detail).toContain('peer temporary key: 384 bits ECsecp384r1');
    if (options.maxVersion !== undefined) expect(secure!.version).toBe(`TLSv${options.maxVersion}`);
  });

  it('a PKCS#12 file without a CA trusts nobody, not the CAs of the web', async () => {
    const alone = { pkcs12: Buffer.from(fixture.pkcs12WithoutCaNorPassphrase, 'base64'), passphrase: '' };
    const [client] = await meet(alone, good);
    expect(client.all('failed')[0]?.certificate).toMatchObject({
      depth: 1,
      error: 'self-signed certificate in certificate chain',
      subject: 'CN=Fixture CA',
    });
  });

  it('DH parameters allow ciphers that are refused without', async () => {
    const ciphers = 'DHE-RSA-AES256-GCM-SHA384';
    expect(() => nodeTlsEngineFactory({ ...good, dh: fixture.dh, ciphers })).not.toThrow();
  });

  it('versions that do not meet fail at both ends', async () => {
    const [client, server] = await meet({ ...good, maxVersion: '1.2' }, { ...good, minVersion: '1.3' });
    expect(server.all('failed')).toHaveLength(1);
    expect(client.all('secure')).toEqual([]);
  });
});

describe('options that cannot work', () => {
  const nonsense = 'no PEM at all';
  const damaged = fixture.cert.replace(/[A-Za-z0-9]{30}/, 'AAAA');
  it.each([
    ['ca', 'missing', { cert: fixture.cert, key: fixture.key }],
    ['ca', 'invalid', { ...good, ca: nonsense }],
    ['ca', 'invalid', { ...good, ca: '' }],
    ['ca', 'invalid', { ...good, ca: `${fixture.ca}${damaged}` }],
    ['cert', 'invalid', { ...good, cert: damaged }],
    ['cert', 'invalid', { ...good, cert: fixture.key }],
    ['cert', 'missing', { ca: fixture.ca, key: fixture.key }],
    ['cert', 'invalid', { ca: fixture.ca, cert: fixture.weakCert, key: fixture.weakKey, securityLevel: 2 }],
    ['key', 'missing', { ca: fixture.ca, cert: fixture.cert }],
    ['key', 'invalid', { ...good, key: nonsense }],
    ['key', 'invalid', { ...good, key: fixture.key.replace(/[A-Za-z0-9]{30}/, 'AAAA') }],
    ['key', 'passphrase-needed', { ...good, key: fixture.encryptedKey }],
    ['key', 'passphrase-needed', { ...good, key: fixture.encryptedKeyOldForm }],
    ['key', 'passphrase-wrong', { ...good, key: fixture.encryptedKey, passphrase: 'wrong' }],
    ['key', 'passphrase-wrong', { ...good, key: fixture.encryptedKeyOldForm, passphrase: 'wrong' }],
    ['key', 'key-mismatch', { ...good, key: fixture.weakKey }],
    ['extra-certs', 'invalid', { ...good, extraCerts: nonsense }],
    ['pkcs12', 'invalid', { pkcs12: Buffer.from(nonsense) }],
    ['pkcs12', 'passphrase-needed', { pkcs12 }],
    ['pkcs12', 'passphrase-wrong', { pkcs12, passphrase: 'wrong' }],
    ['crl-verify', 'invalid', { ...good, crl: nonsense }],
    ['crl-verify', 'invalid', { ...good, crl: '-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n' }],
    ['dh', 'invalid', { ...good, dh: nonsense }],
    ['tls-cipher', 'invalid', { ...good, ciphers: 'TLS-NO-WITH-SUCH-CIPHER' }],
    ['tls-ciphersuites', 'invalid', { ...good, ciphersuites: 'TLS_AES_256_GCM_SHA384:AES256-SHA' }],
    ['tls-ciphersuites', 'invalid', { ...good, ciphersuites: '' }],
    ['tls-groups', 'invalid', { ...good, groups: 'X25519:nothing' }],
    ['tls-version-min', 'invalid', { ...good, minVersion: '1.3', maxVersion: '1.2' }],
  ] as [string, string, NodeTlsOptions][])('%s: %s (%#)', (option, code, options) => {
    let thrown: unknown;
    try {
      nodeTlsEngineFactory(options);
    } catch (error) {
      thrown = error;
    }
    expect(thrown).toBeInstanceOf(TlsOptionsError);
    expect(thrown).toMatchObject({ option, code });
    expect((thrown as Error).message).toMatch(/^[ -~]{10,120}$/);
  });

  it('leave a factory as it was when they come later', async () => {
    const { pki } = await identities();
    const factory = nodeTlsEngineFactory(good);
    expect(() => factory.replaceOptions({ ...good, ca: nonsense })).toThrow(TlsOptionsError);
    const client = new TlsParty(nodeTlsEngineFactory(good), 'client');
    const server = new TlsParty(factory, 'server');
    await pump({ turn }, [client, server], () => server.all('secure').length > 0);
    expect(pki.ca).not.toBe(good.ca);
    for (const { engine } of [client, server]) engine.close();
  });
});
