import { parsePeerInfo } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import {
  canonicalCipher,
  chooseClientCipher,
  expandDefaultCiphers,
  negotiateCipher,
  negotiateP2pCipher,
  normaliseCiphers,
  peerCiphers,
  peerSupportsNcp,
} from '../src/index.js';
import vectors from './vectors/ncp.json' with { type: 'json' };

interface Vector {
  readonly id: string;
  readonly inputs: Record<string, string | null | undefined>;
  readonly expected: Record<string, unknown>;
}

/** The vectors were made with a library that has Blowfish. */
const withBlowfish = (name: string): string | undefined => (name === 'BF-CBC' ? name : canonicalCipher(name));

describe('vectors of ncp.json', () => {
  for (const { id, inputs, expected } of vectors.vectors as unknown as readonly Vector[]) {
    test(id, () => {
      const info = parsePeerInfo(inputs.peer_info ?? '');
      if (id.startsWith('normalise-')) {
        const normalised = normaliseCiphers(inputs.list!, withBlowfish);
        expect(normalised.ok ? normalised.value.join(':') : null).toBe(expected.out);
      } else if (id.startsWith('peerlist-')) {
        expect(peerCiphers(info).join(':')).toBe(expected.list);
        expect(peerSupportsNcp(info)).toBe(expected.supports_ncp);
      } else if (id.startsWith('best-')) {
        const own = inputs.server_list!.split(':');
        expect(negotiateCipher(own, info, inputs.remote_cipher ?? undefined) ?? null).toBe(expected.cipher);
      } else if (id.startsWith('default-')) {
        expect(expandDefaultCiphers(inputs.data_ciphers ?? undefined)).toBe(expected.out);
      } else if (id.startsWith('real-peer-info')) {
        const real = parsePeerInfo(`${(expected.lines as string[]).join('\n')}\n`);
        expect(peerCiphers(real)).toEqual(['AES-256-GCM']);
        expect(real.size).toBe((expected.lines as string[]).length);
      } else {
        throw new Error('a vector that no test knows');
      }
    });
  }
});

test('a cipher that does not exist here is refused, an alias of one that does is taken', () => {
  expect(normaliseCiphers('AES-256-GCM:BF-CBC').ok).toBe(false);
  expect(normaliseCiphers('AES-256-GCM:?BF-CBC:id-aes128-GCM')).toEqual({
    ok: true,
    value: ['AES-256-GCM', 'AES-128-GCM'],
  });
});

test('p2p takes the first of the server that the client lists', () => {
  expect(negotiateP2pCipher(['CHACHA20-POLY1305', 'AES-128-GCM'], ['AES-128-GCM', 'CHACHA20-POLY1305'])).toBe(
    'CHACHA20-POLY1305',
  );
  expect(negotiateP2pCipher(['CHACHA20-POLY1305'], ['AES-128-GCM'])).toBeUndefined();
});

describe('chooseClientCipher', () => {
  const dataCiphers = ['AES-256-GCM', 'AES-128-GCM'];
  const base = { pushed: undefined, remoteCipher: undefined, dataCiphers, fallback: undefined };

  test('a pushed cipher must be allowed', () => {
    expect(chooseClientCipher({ ...base, pushed: 'aes-128-gcm' })).toEqual({
      ok: true,
      cipher: 'AES-128-GCM',
      how: 'pushed',
    });
    expect(chooseClientCipher({ ...base, pushed: 'AES-256-CBC' })).toMatchObject({ ok: false, event: 'not-allowed' });
    expect(chooseClientCipher({ ...base, pushed: 'AES-256-CBC', fallback: 'AES-256-CBC' })).toMatchObject({ ok: true });
    expect(chooseClientCipher({ ...base, pushed: 'none' })).toMatchObject({ ok: false, event: 'not-allowed' });
  });

  test("without a push the server's options string counts, then the fallback", () => {
    expect(chooseClientCipher({ ...base, remoteCipher: 'AES-256-GCM' })).toMatchObject({
      ok: true,
      how: 'options-string',
    });
    expect(chooseClientCipher({ ...base, remoteCipher: 'BF-CBC' })).toMatchObject({
      ok: false,
      event: 'remote-cipher-not-allowed',
    });
    expect(chooseClientCipher({ ...base, fallback: 'AES-256-CBC' })).toMatchObject({
      ok: true,
      how: 'fallback',
      cipher: 'AES-256-CBC',
    });
    expect(chooseClientCipher(base)).toMatchObject({ ok: false, event: 'no-cipher' });
  });
});
