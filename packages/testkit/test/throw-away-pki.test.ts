import { execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findTool, ThrowAwayPki } from '@openvpnd/testkit/node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

describe('ThrowAwayPki', () => {
  let pki: ThrowAwayPki;
  beforeAll(async () => {
    pki = await ThrowAwayPki.create();
  });

  test('a certificate verifies against its authority and not against another', async () => {
    const { cert } = await pki.issue('client1', 'client');
    const other = await ThrowAwayPki.create();
    const certificate = new X509Certificate(cert);
    expect(certificate.subject).toBe('CN=client1');
    expect(certificate.checkIssued(new X509Certificate(pki.ca))).toBe(true);
    expect(certificate.verify(new X509Certificate(pki.ca).publicKey)).toBe(true);
    expect(certificate.verify(new X509Certificate(other.ca).publicKey)).toBe(false);
  });

  test('the extended key usage tells servers from clients', async () => {
    expect(new X509Certificate((await pki.issue('s', 'server')).cert).keyUsage).toEqual(['1.3.6.1.5.5.7.3.1']);
    expect(new X509Certificate((await pki.issue('c', 'client')).cert).keyUsage).toEqual(['1.3.6.1.5.5.7.3.2']);
    expect(new X509Certificate((await pki.issue('n', 'none')).cert).keyUsage).toBeUndefined();
  });

  describe.skipIf(findTool('openssl') === undefined)('in the eyes of openssl', () => {
    const directory = mkdtempSync(join(tmpdir(), 'openvpnd-pki-'));
    afterAll(() => rmSync(directory, { recursive: true, force: true }));

    /** openssl's verdict on a certificate with the authority's present revocation list. */
    async function verdict(cert: string, purpose: string): Promise<string> {
      writeFileSync(join(directory, 'ca.pem'), pki.ca);
      writeFileSync(join(directory, 'crl.pem'), await pki.crl());
      writeFileSync(join(directory, 'cert.pem'), cert);
      try {
        const args = [
          'verify',
          '-purpose',
          purpose,
          '-crl_check',
          '-CRLfile',
          'crl.pem',
          '-CAfile',
          'ca.pem',
          'cert.pem',
        ];
        return execFileSync('openssl', args, { cwd: directory, encoding: 'utf8', stdio: 'pipe' }).trim();
      } catch (error) {
        return String((error as { stderr: string }).stderr);
      }
    }

    test('a certificate is good for its purpose only', async () => {
      const server = await pki.issue('server', 'server');
      expect(await verdict(server.cert, 'sslserver')).toBe('cert.pem: OK');
      expect(await verdict(server.cert, 'sslclient')).toMatch(/unsuitable certificate purpose/i);
    });

    test('a revoked certificate is refused and its neighbour is not', async () => {
      const [revoked, kept] = [await pki.issue('revoked', 'client'), await pki.issue('kept', 'client')];
      pki.revoke(revoked);
      expect(await verdict(revoked.cert, 'sslclient')).toMatch(/certificate revoked/);
      expect(await verdict(kept.cert, 'sslclient')).toBe('cert.pem: OK');
    });

    test('an expired certificate is refused', async () => {
      const expired = await pki.issue('old', 'client', { notBeforeMs: -7_200_000, notAfterMs: -3_600_000 });
      expect(await verdict(expired.cert, 'sslclient')).toMatch(/certificate has expired/);
    });
  });
});
