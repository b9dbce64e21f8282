import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type DataPacketShape, findDataCipher, fragmentPartOf, mssOf, occLinkMtu } from '../src/index.js';

interface Inputs {
  readonly tun_mtu: number;
  readonly mode: DataPacketShape['mode'];
  readonly cipher: string;
  readonly auth: string;
  readonly proto?: string;
  readonly comp?: number;
  readonly frag?: number;
  readonly socks?: number;
  readonly mssfix: number | number[];
}

const VECTORS: readonly { id: string; inputs: Inputs; expected: Record<string, number | number[]> }[] = JSON.parse(
  readFileSync(new URL('./vectors/mtu_mss.json', import.meta.url), 'utf8'),
).vectors;

const DIGEST_BYTES: Record<string, number> = { none: 0, SHA1: 20, SHA256: 32 };

function cipherOf(name: string): DataPacketShape['cipher'] {
  // Not offered as a data cipher, but the default name in the options string of old peers.
  if (name === 'BF-CBC') return { kind: 'cbc', blockBytes: 8 };
  const cipher = findDataCipher(name);
  if (cipher === undefined) throw new Error(`no such cipher: ${name}`);
  return cipher;
}

function shapeOf(inputs: Inputs): DataPacketShape {
  return {
    cipher: cipherOf(inputs.cipher),
    digestBytes: DIGEST_BYTES[inputs.auth],
    mode: inputs.mode,
    stream: inputs.proto === 'tcp',
    compressionPrefix: inputs.comp === 1,
    fragment: inputs.frag !== undefined,
    socks: inputs.socks === 1,
  };
}

describe('link-mtu of the options string', () => {
  for (const { id, inputs, expected } of VECTORS.filter((vector) => vector.id.startsWith('occ-'))) {
    it(`${id}: ${inputs.cipher}, ${inputs.auth}, ${inputs.mode}`, () => {
      expect(occLinkMtu(inputs.tun_mtu, shapeOf(inputs))).toBe(expected.link_mtu);
    });
  }

  // Printed by OpenVPN 2.6.14 as its local options string.
  it('counts one byte of block for ChaCha20-Poly1305, and 32 more for tap', () => {
    const shape: DataPacketShape = { cipher: cipherOf('CHACHA20-POLY1305'), digestBytes: 32, mode: 'tls' };
    expect(occLinkMtu(1500, shape)).toBe(1534);
    expect(occLinkMtu(1500, { ...shape, tap: true })).toBe(1566);
  });
});

describe('mssfix', () => {
  const vector = (id: string): (typeof VECTORS)[number] => {
    const found = VECTORS.find((candidate) => candidate.id === id);
    if (found === undefined) throw new Error(id);
    return found;
  };
  const gcm: DataPacketShape = { cipher: cipherOf('AES-256-GCM'), digestBytes: 32, mode: 'tls', peerId: true };

  it('mss-none: no cipher, a long packet id', () => {
    const { inputs, expected } = vector('mss-none');
    expect(mssOf({ bytes: inputs.mssfix as number, limits: 'encapsulated' }, shapeOf(inputs))).toBe(expected.mss);
  });

  it('mss-cbc: whole blocks, with and without a compression prefix', () => {
    const { inputs, expected } = vector('mss-cbc');
    const sizes = inputs.mssfix as number[];
    const shape = shapeOf(inputs);
    expect(sizes.map((bytes) => mssOf({ bytes, limits: 'encapsulated' }, shape))).toEqual(expected.mss);
    const framed = { ...shape, compressionPrefix: true };
    expect(sizes.map((bytes) => mssOf({ bytes, limits: 'encapsulated' }, framed))).toEqual(expected.mss_comp);
  });

  it('mss-gcm: with a peer id, and four bytes less for epoch keys', () => {
    const { inputs, expected } = vector('mss-gcm');
    const sizes = inputs.mssfix as number[];
    expect(sizes.map((bytes) => mssOf({ bytes, limits: 'encapsulated' }, gcm))).toEqual(expected.mss);
    const epoch = { ...gcm, epoch: true };
    expect(sizes.map((bytes) => mssOf({ bytes, limits: 'encapsulated' }, epoch))).toEqual(expected.mss_epoch);
  });

  it('mss-default: 1492 mtu, as OpenVPN 2.6 prints it', () => {
    const { expected } = vector('mss-default');
    const setting = { bytes: 1492, limits: 'mtu' } as const;
    expect(mssOf(setting, { ...gcm, peerId: false })).toBe(expected.gcm_no_peer_id);
    expect(mssOf(setting, gcm)).toBe(expected.gcm_peer_id);
    const cbc: DataPacketShape = { cipher: cipherOf('AES-256-CBC'), digestBytes: 32, mode: 'tls' };
    expect(mssOf(setting, cbc)).toBe(expected.cbc_sha256_no_peer_id);
  });

  // OpenVPN 2.6.14 over an IPv6 socket with --fragment 1200 and --comp-lzo no on a tap device printed mss_fix:1054.
  it('takes fragmentation, compression, tap and IPv6 off', () => {
    const shape = { ...gcm, peerId: false, fragment: true, compressionPrefix: true, tap: true };
    expect(mssOf({ bytes: 1200, limits: 'mtu', outerIpv6: true }, shape)).toBe(1054);
  });

  it('fixed: the inner headers alone; and never a negative size', () => {
    expect(mssOf({ bytes: 1400, limits: 'fixed' }, gcm)).toBe(1360);
    expect(mssOf({ bytes: 30, limits: 'fixed' }, gcm)).toBe(0);
    expect(mssOf({ bytes: 60, limits: 'mtu' }, gcm)).toBe(0);
  });

  it('over TCP counts the length and the TCP header', () => {
    expect(mssOf({ bytes: 1492, limits: 'mtu' }, { ...gcm, stream: true })).toBe(1400 - 2 - 12);
  });
});

describe('fragment', () => {
  // OpenVPN 2.6.14 with --fragment 1200 printed max_frag:1175 for both AEAD ciphers.
  it('is what the link carries less header and cipher', () => {
    for (const name of ['AES-128-GCM', 'CHACHA20-POLY1305']) {
      const shape: DataPacketShape = { cipher: cipherOf(name), digestBytes: 0, mode: 'tls', compressionPrefix: true };
      expect(fragmentPartOf({ bytes: 1200, limits: 'encapsulated' }, shape)).toBe(1175);
      expect(fragmentPartOf({ bytes: 1200, limits: 'mtu' }, shape)).toBe(1147);
      expect(fragmentPartOf({ bytes: 20, limits: 'encapsulated' }, shape)).toBe(0);
    }
  });

  it('makes whole blocks of CBC', () => {
    const shape: DataPacketShape = { cipher: cipherOf('AES-256-CBC'), digestBytes: 32, mode: 'tls' };
    const part = fragmentPartOf({ bytes: 1200, limits: 'encapsulated' }, shape);
    const sealed = (bytes: number): number => 1 + 32 + 16 + Math.floor((4 + 4 + bytes) / 16 + 1) * 16;
    expect(sealed(part)).toBeLessThanOrEqual(1200);
    expect(sealed(part + 1)).toBeGreaterThan(1200);
  });
});
