import { createHash, createHmac } from 'node:crypto';
import { Secret } from '@openvpnd/sans-io';
import { describe, expect, test } from 'vitest';
import {
  dataChannelKeys,
  deriveKey2ByPrf,
  EKM_LABEL_DATA_KEYS,
  EKM_LABEL_DYNAMIC_TLS_CRYPT,
  EKM_LABEL_P2P_PEER_ID,
  EKM_PEER_ID_BYTES,
  findDataCipher,
  hkdfExpand,
  KEY2_BYTES,
  keySlots,
  staticDataChannelKeys,
  zeroKeys,
} from '../src/index.js';
import { fromHex, toHex, vectors } from './vectors.js';

const gcm = findDataCipher('AES-256-GCM')!;
const hex = (secret: Secret): string => toHex(secret.bytes);

describe('keys of real sessions, by PRF', () => {
  test.each(vectors('openvpn_prf_keys'))('%s', (_id, { inputs, expected }) => {
    const key2 = deriveKey2ByPrf({
      client: {
        preMaster: fromHex(inputs.client_pre_master),
        random1: fromHex(inputs.client_random1),
        random2: fromHex(inputs.client_random2),
        sessionId: fromHex(inputs.client_session_id),
      },
      server: {
        random1: fromHex(inputs.server_random1),
        random2: fromHex(inputs.server_random2),
        sessionId: fromHex(inputs.server_session_id),
      },
    });
    expect(hex(key2)).toBe(expected.key2_256);

    const client = dataChannelKeys(key2, gcm, 'client');
    expect(hex(client.send.cipherKey)).toBe(expected.client_send_cipher_key);
    expect(hex(client.receive.cipherKey)).toBe(expected.client_recv_cipher_key);
    // The vectors give as many bytes as the session's digest took.
    expect(hex(client.send.hmacKey).startsWith(expected.client_send_hmac_key)).toBe(true);
    expect(hex(client.receive.hmacKey).startsWith(expected.client_recv_hmac_key)).toBe(true);
    expect(hex(client.send.implicitIv)).toBe(expected.aead_client_send_implicit_iv);
    expect(hex(client.receive.implicitIv)).toBe(expected.aead_client_recv_implicit_iv);
  });
});

describe('exporter', () => {
  const labels: Record<string, { label: string; length: number }> = {
    datakeys: { label: EKM_LABEL_DATA_KEYS, length: KEY2_BYTES },
    'dynamic-tls-crypt': { label: EKM_LABEL_DYNAMIC_TLS_CRYPT, length: KEY2_BYTES },
    'p2p-peerid': { label: EKM_LABEL_P2P_PEER_ID, length: EKM_PEER_ID_BYTES },
  };

  test.each(vectors('tls_ekm'))('%s', (id, { inputs, expected }) => {
    const { label, length } = labels[id.replace(/^tls1[23]-/, '').replace('-WRONG-empty-context', '')]!;
    expect(label).toBe(inputs.label);
    expect(length).toBe(inputs.length);
    const exported = inputs.tls === '1.3' ? exportTls13(inputs, label, length) : exportTls12(inputs, label, length);
    if (expected.key2_256_wrong) {
      expect(toHex(exported)).not.toBe(expected.key2_256_wrong);
      expect(toHex(exportTls12(inputs, label, length, fromHex('')))).toBe(expected.key2_256_wrong);
      return;
    }
    expect(toHex(exported)).toBe(expected.key2_256 ?? expected.out);
    if (expected.peer_id) expect((exported[0]! << 16) | (exported[1]! << 8) | exported[2]!).toBe(expected.peer_id);
    if (!expected.client_send_cipher_64) return;

    const client = dataChannelKeys(new Secret(exported), gcm, 'client');
    expect(hex(client.send.cipherKey)).toBe(expected.client_send_cipher_64.slice(0, 64));
    expect(hex(client.receive.cipherKey)).toBe(expected.client_recv_cipher_64.slice(0, 64));
    expect(hex(client.send.hmacKey)).toBe(expected.client_send_hmac_64);
    expect(hex(client.receive.hmacKey)).toBe(expected.client_recv_hmac_64);
    expect(hex(client.send.implicitIv)).toBe(expected.client_send_implicit_iv_8);
    expect(hex(client.send.epochSecret)).toBe(expected.epoch_client_send_E1);
    expect(hex(client.receive.epochSecret)).toBe(expected.epoch_client_recv_E1);
  });

  // RFC 8446, section 7.5: the engine does this in a session; here it shows that label and length are right.
  function exportTls13(
    inputs: { hash: string; exporter_master_secret: string },
    label: string,
    length: number,
  ): Uint8Array {
    const hash = (bytes: Uint8Array): Uint8Array => createHashOf(inputs.hash, bytes);
    const expand = (secret: Uint8Array, name: string, context: Uint8Array, size: number): Uint8Array => {
      const text = Buffer.from(`tls13 ${name}`);
      const info = Buffer.concat([
        Buffer.of(size >> 8, size & 0xff, text.length),
        text,
        Buffer.of(context.length),
        context,
      ]);
      return expandWith(inputs.hash, secret, info, size);
    };
    const empty = hash(new Uint8Array(0));
    const derived = expand(fromHex(inputs.exporter_master_secret), label, empty, empty.length);
    return expand(derived, 'exporter', empty, length);
  }

  // RFC 5705 over the PRF of TLS 1.2.
  function exportTls12(
    inputs: { prf_hash: string; master_secret: string; client_random: string; server_random: string },
    label: string,
    length: number,
    context?: Uint8Array,
  ): Uint8Array {
    const seed = Buffer.concat([
      Buffer.from(label),
      fromHex(inputs.client_random),
      fromHex(inputs.server_random),
      ...(context ? [Buffer.of(context.length >> 8, context.length & 0xff), context] : []),
    ]);
    const hmac = (data: Uint8Array): Buffer =>
      createHmac(inputs.prf_hash, fromHex(inputs.master_secret)).update(data).digest();
    let output = Buffer.alloc(0);
    for (let a = hmac(seed); output.length < length; a = hmac(a))
      output = Buffer.concat([output, hmac(Buffer.concat([a, seed]))]);
    return Uint8Array.from(output.subarray(0, length));
  }

  function createHashOf(name: string, bytes: Uint8Array): Uint8Array {
    return createHash(name).update(bytes).digest();
  }

  function expandWith(name: string, secret: Uint8Array, info: Uint8Array, length: number): Uint8Array {
    if (name === 'sha256') return hkdfExpand(secret, info, length);
    let output = Buffer.alloc(0);
    for (let block = Buffer.alloc(0), i = 1; output.length < length; i++) {
      block = createHmac(name, secret).update(block).update(info).update(Buffer.of(i)).digest();
      output = Buffer.concat([output, block]);
    }
    return Uint8Array.from(output.subarray(0, length));
  }
});

describe('directions', () => {
  const key2 = new Secret(Uint8Array.from({ length: 256 }, (_, i) => i));

  test('what the client sends with, the server receives with', () => {
    const client = dataChannelKeys(key2, gcm, 'client');
    const server = dataChannelKeys(key2, gcm, 'server');
    expect(hex(client.send.cipherKey)).toBe(hex(server.receive.cipherKey));
    expect(hex(client.receive.hmacKey)).toBe(hex(server.send.hmacKey));
    expect(hex(client.send.cipherKey)).not.toBe(hex(client.receive.cipherKey));
    expect(client.send.cipherKey.bytes[0]).toBe(0);
    expect(client.send.implicitIv.bytes[0]).toBe(64);
    expect(server.send.cipherKey.bytes[0]).toBe(128);
    expect(server.send.hmacKey.bytes[0]).toBe(192);
  });

  test('the cipher decides the length of its key', () => {
    expect(dataChannelKeys(key2, findDataCipher('AES-128-CBC')!, 'client').send.cipherKey).toHaveLength(16);
    expect(dataChannelKeys(key2, findDataCipher('none')!, 'client').send.cipherKey).toHaveLength(0);
    expect(dataChannelKeys(key2, findDataCipher('AES-128-GCM')!, 'client').send.epochSecret).toHaveLength(32);
  });

  test('direction-table', () => {
    const { expected } = vectors('static_key').find(([id]) => id === 'direction-table')![1];
    const slots = (name: string): { send: number; receive: number } => ({
      send: expected[name].out,
      receive: expected[name].inn,
    });
    expect(keySlots('normal')).toEqual(slots('normal_0'));
    expect(keySlots('inverse')).toEqual(slots('inverse_1'));
    expect(keySlots('both')).toEqual(slots('bidirectional'));
    const first = (keys: { send: { cipherKey: Secret }; receive: { cipherKey: Secret } }): unknown => ({
      send: keys.send.cipherKey.bytes[0]! >> 7,
      receive: keys.receive.cipherKey.bytes[0]! >> 7,
    });
    expect(first(dataChannelKeys(key2, gcm, 'client'))).toEqual(slots('tls_data_client'));
    expect(first(dataChannelKeys(key2, gcm, 'server'))).toEqual(slots('tls_data_server'));
    expect(first(staticDataChannelKeys(key2, gcm, 'inverse'))).toEqual(slots('inverse_1'));
  });

  test('zeroed keys are zero, and the source is not', () => {
    const keys = dataChannelKeys(key2, gcm, 'client');
    zeroKeys(keys);
    for (const key of [keys.send, keys.receive]) {
      for (const secret of Object.values(key) as Secret[]) expect(secret.bytes.every((byte) => byte === 0)).toBe(true);
    }
    expect(key2.bytes[255]).toBe(255);
  });

  test('a key of another length is our bug', () => {
    expect(() => dataChannelKeys(new Secret(new Uint8Array(255)), gcm, 'client')).toThrow(RangeError);
  });
});
