import { X509Certificate } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { KnownCertificates } from '../src/node/known-certificates.js';
import { identities } from './node-world.js';

describe('KnownCertificates', () => {
  it('reads a certificate once, and one that is too long to be kept each time', async () => {
    const { pki, client } = await identities();
    const known = new KnownCertificates();
    const small = new X509Certificate(client.cert).raw;
    expect(known.read(small)).toBe(known.read(Uint8Array.from(small)));
    const { cert } = await pki.issue('x'.repeat(9000), 'client');
    const long = new X509Certificate(cert).raw;
    expect(long.length).toBeGreaterThan(8192);
    const [once, again] = [known.read(long), known.read(long)];
    expect(again).not.toBe(once);
    expect(again.facts).toEqual(once.facts);
  });

  it('refuses what is no certificate, every time', () => {
    const known = new KnownCertificates();
    for (let times = 0; times < 2; times += 1) expect(() => known.read(Uint8Array.of(0x30, 0x80, 1))).toThrow();
  });
});
