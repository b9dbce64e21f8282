import { Secret } from '@openvpnd/sans-io';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emitClientKeyMetadata, parseClientKeyMetadata } from '../src/client-key-metadata.js';
import {
  type ClientKeyMetadata,
  clientKeyIsFresh,
  emitTlsCryptV2ClientKey,
  emitTlsCryptV2ServerKey,
  generateTlsCryptV2ClientKey,
  generateTlsCryptV2ServerKey,
  parseTlsCryptV2ClientKey,
  parseTlsCryptV2ServerKey,
  tlsAuthWraps,
  tlsCryptV2ClientWraps,
  tlsCryptV2ServerWraps,
  tlsCryptWraps,
  unwrapClientKey,
  wrapClientKey,
} from '../src/index.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const all = vectors('tls_crypt_v2');
const keyFiles = all.filter(([, v]) => v.inputs.server_key_pem);
const computed = all.filter(([id]) => id.startsWith('comp-meta-'));
const rejects = all.filter(([id]) => id.startsWith('reject-'));
const captured = all.filter(([, v]) => v.inputs.packet);

const secret = (hex: string): Secret => new Secret(fromHex(hex));
const counting = { fill: (target: Uint8Array): void => target.set(target.map((_, i) => i * 7)) };
const reset = (opcode: number): Uint8Array =>
  fromHex(`${(opcode << 3).toString(16).padStart(2, '0')}aaaaaaaaaaaaaaaa0000000000`);

test('every vector runs below', () => {
  expect(keyFiles.length + computed.length + rejects.length + captured.length).toBe(all.length);
});

describe('key files', () => {
  test.each(keyFiles)('%s', (_id, { inputs, expected }) => {
    const serverKey = value(parseTlsCryptV2ServerKey(inputs.server_key_pem));
    expect(toHex(serverKey.bytes)).toBe(inputs.server_key_128);
    const clientKey = value(parseTlsCryptV2ClientKey(inputs.client_key_pem));
    expect(toHex(clientKey.key.bytes)).toBe(expected.client_key_256);
    expect(toHex(clientKey.wrappedKey)).toBe(expected.wkc);
    expect(clientKey.wrappedKey).toHaveLength(expected.wkc_len);

    const unwrapped = value(unwrapClientKey(serverKey, clientKey.wrappedKey));
    expect(toHex(unwrapped.key.bytes)).toBe(expected.client_key_256);
    expect(toHex(emitClientKeyMetadata(unwrapped.metadata))).toBe(expected.metadata);
    expect(unwrapped.metadata.type).toBe(expected.metadata_type === 1 ? 'timestamp' : 'user');
    expect(toHex(wrapClientKey(serverKey, unwrapped.key, unwrapped.metadata))).toBe(expected.wkc);

    expect(emitTlsCryptV2ServerKey(serverKey).trim()).toBe(inputs.server_key_pem.trim());
    expect(emitTlsCryptV2ClientKey(clientKey).trim()).toBe(inputs.client_key_pem.trim());
  });

  test('a file of the other kind or of another length is refused', () => {
    const { inputs } = keyFiles[0]![1];
    expect(parseTlsCryptV2ServerKey(inputs.client_key_pem).ok).toBe(false);
    expect(parseTlsCryptV2ClientKey(inputs.server_key_pem).ok).toBe(false);
    const half = emitTlsCryptV2ServerKey(new Secret(new Uint8Array(64)));
    expect(parseTlsCryptV2ServerKey(half)).toEqual({ ok: false, reason: 'key has 64 bytes, not 128' });
    const bare = emitTlsCryptV2ClientKey({ key: new Secret(new Uint8Array(256)), wrappedKey: new Uint8Array(0) });
    expect(parseTlsCryptV2ClientKey(bare).ok).toBe(false);
  });

  test('generated keys fit each other and no other server', () => {
    const serverKey = generateTlsCryptV2ServerKey(counting);
    const clientKey = generateTlsCryptV2ClientKey(counting, serverKey, { type: 'timestamp', unixSeconds: 2 ** 33 + 5 });
    expect(value(unwrapClientKey(serverKey, clientKey.wrappedKey))).toMatchObject({
      metadata: { type: 'timestamp', unixSeconds: 2 ** 33 + 5 },
    });
    expect(unwrapClientKey(new Secret(new Uint8Array(128)), clientKey.wrappedKey).ok).toBe(false);
  });
});

describe('wrapped keys', () => {
  test.each(computed)('%s', (_id, { inputs, expected }) => {
    const serverKey = secret(inputs.server_key_128);
    const metadata = parseClientKeyMetadata(fromHex(inputs.metadata));
    const wrapped = wrapClientKey(serverKey, secret(inputs.client_key_256), metadata);
    expect(toHex(wrapped)).toBe(expected.wkc);
    expect(wrapped).toHaveLength(expected.wkc_len);
    expect(toHex(emitClientKeyMetadata(value(unwrapClientKey(serverKey, wrapped)).metadata))).toBe(inputs.metadata);
  });

  test.each(rejects)('%s', (_id, { inputs, expected }) => {
    const wrapped = fromHex(inputs.wkc);
    expect(unwrapClientKey(secret(inputs.server_key_128), wrapped).ok).toBe(expected.accepted);
    // As a packet that has nothing in front of the key, and behind a header that it could borrow bytes from.
    const server = tlsCryptV2ServerWraps({ serverKey: secret(inputs.server_key_128) });
    expect(server.create(0).unwrap(0, wrapped).ok).toBe(false);
    for (const opcode of [10, 11]) {
      for (const front of [1, 9, 17, 48, 49]) {
        const packet = Uint8Array.from([opcode << 3, ...new Uint8Array(front - 1), ...wrapped]);
        expect(server.create(0).unwrap(0, packet).ok).toBe(false);
      }
    }
  });

  test('one byte of metadata too many is our bug', () => {
    const key = new Secret(new Uint8Array(256));
    const serverKey = new Secret(new Uint8Array(128));
    const metadata = (length: number): ClientKeyMetadata => ({ type: 'user', bytes: new Uint8Array(length) });
    expect(wrapClientKey(serverKey, key, metadata(733))).toHaveLength(1024);
    expect(() => wrapClientKey(serverKey, key, metadata(734))).toThrow(RangeError);
  });
});

describe('sessions of the real openvpn', () => {
  test.each(captured)('%s', (_id, { inputs, expected }) => {
    const packet = fromHex(inputs.packet);
    const serverKey = secret(inputs.server_key_128);
    const clientKey = { key: secret(expected.client_key_256), wrappedKey: fromHex(expected.wkc ?? '') };
    const plain = toHex(packet.subarray(0, 9)) + expected.inner;
    const client = (): ReturnType<ReturnType<typeof tlsCryptV2ClientWraps>['create']> =>
      tlsCryptV2ClientWraps({ clientKey }).create(expected.net_time, expected.packet_id);

    if (expected.opcode === 8) {
      expect(toHex(value(client().unwrap(0, packet)))).toBe(plain);
      return;
    }
    if (expected.wkc) {
      const server = tlsCryptV2ServerWraps({ serverKey }).create(0);
      expect(toHex(value(server.unwrap(0, packet)))).toBe(plain);
      expect(server.clientKey?.earlyNegotiation).toBe(true);
      expect(toHex(client().wrap(fromHex(plain)))).toBe(inputs.packet);
      expect(client().wrappedKeyBytes).toBe(fromHex(expected.wkc).length);
      for (let i = 0; i < packet.length; i++) {
        const changed = packet.slice();
        changed[i]! ^= 0x40;
        expect(tlsCryptV2ServerWraps({ serverKey }).create(0).unwrap(0, changed).ok).toBe(false);
        expect(tlsCryptV2ServerWraps({ serverKey }).create(0).unwrap(0, packet.subarray(0, i)).ok).toBe(false);
      }
      return;
    }
    // A packet in the middle of a session: tls-crypt with the client's key, in one of the two directions.
    const directions = (['server', 'client'] as const).map((role) =>
      tlsCryptWraps({ key: clientKey.key, role }).create(0).unwrap(0, packet),
    );
    expect(directions.filter((result) => result.ok)).toHaveLength(1);
    expect(toHex(value(directions.find((result) => result.ok)!))).toBe(plain);
    expect(tlsCryptV2ServerWraps({ serverKey }).create(0).unwrap(0, packet).ok).toBe(false);
  });
});

describe('a session', () => {
  const serverKey = generateTlsCryptV2ServerKey(counting);
  const clientKey = generateTlsCryptV2ClientKey(counting, serverKey, { type: 'user', bytes: fromHex('6869') });
  const client = () => tlsCryptV2ClientWraps({ clientKey }).create(100);
  const server = () => tlsCryptV2ServerWraps({ serverKey }).create(100);

  test('both ends begin with 0x0f000001', () => {
    const [c, s] = [client(), server()];
    const first = c.wrap(reset(10));
    expect(toHex(first.subarray(9, 17))).toBe('0f00000100000064');
    expect(value(s.unwrap(0, first))).toEqual(reset(10));
    expect(s.clientKey).toEqual({ metadata: { type: 'user', bytes: fromHex('6869') }, earlyNegotiation: true });
    const reply = s.wrap(reset(8));
    expect(toHex(reply.subarray(9, 17))).toBe('0f00000100000064');
    expect(value(c.unwrap(0, reply))).toEqual(reset(8));
    // Only the two opcodes carry the key.
    expect(c.wrap(reset(4))).toHaveLength(14 + 40);
    expect(c.wrap(reset(11))).toHaveLength(14 + 40 + clientKey.wrappedKey.length);
  });

  test('a client of 2.5 counts from 1', () => {
    const s = server();
    value(s.unwrap(0, tlsCryptV2ClientWraps({ clientKey }).create(100, 1).wrap(reset(10))));
    expect(s.clientKey?.earlyNegotiation).toBe(false);
  });

  test('the key is set once: another one in a later packet is not taken', () => {
    const [c, s] = [client(), server()];
    value(s.unwrap(0, c.wrap(reset(10))));
    const key = s.fileKey;
    expect(value(s.unwrap(0, c.wrap(reset(11))))).toEqual(reset(11));
    expect(s.fileKey).toBe(key);
    const other = generateTlsCryptV2ClientKey({ fill: (target) => target.fill(9) }, serverKey, { type: 'none' });
    const stranger = tlsCryptV2ClientWraps({ clientKey: other }).create(200);
    expect(s.unwrap(0, stranger.wrap(reset(10))).ok).toBe(false);
    expect(s.unwrap(0, stranger.wrap(reset(11))).ok).toBe(false);
    expect(value(s.unwrap(0, c.wrap(reset(4))))).toEqual(reset(4));
    // The client's packet with the stranger's key behind it: the key is cut off unread.
    const mixed = Uint8Array.from([...c.wrap(reset(11)).subarray(0, 54), ...other.wrappedKey]);
    expect(value(s.unwrap(0, mixed))).toEqual(reset(11));
    expect(s.fileKey).toBe(key);
  });

  test('a refused first packet leaves the wrap open for a good one', () => {
    const s = server();
    const first = client().wrap(reset(10));
    const forged = first.slice();
    forged[50]! ^= 1;
    expect(s.unwrap(0, forged).ok).toBe(false);
    expect(s.clientKey).toBeUndefined();
    expect(s.unwrap(0, first).ok).toBe(true);
    expect(s.unwrap(0, first).ok).toBe(false);
  });

  test('a server that knows no client yet cannot speak', () => {
    expect(() => server().wrap(reset(8))).toThrow(TypeError);
  });

  test('closing zeroes the key that came with the packet', () => {
    const s = server();
    value(s.unwrap(0, client().wrap(reset(10))));
    const key = s.fileKey!;
    s.close();
    expect(key.bytes.every((byte) => byte === 0)).toBe(true);
    expect(serverKey.bytes.some((byte) => byte !== 0)).toBe(true);
    expect(clientKey.key.bytes.some((byte) => byte !== 0)).toBe(true);
  });

  test('tls-auth or tls-crypt beside it, chosen by the opcode and for good', () => {
    const key = new Secret(new Uint8Array(256).fill(3));
    for (const fallback of [
      tlsCryptWraps({ key, role: 'server' }),
      tlsAuthWraps({ key, direction: 'both', digest: 'SHA256' }),
    ]) {
      const plainClient =
        fallback.name === 'tls-crypt'
          ? tlsCryptWraps({ key, role: 'client' })
          : tlsAuthWraps({ key, direction: 'both', digest: 'SHA256' });
      const wraps = tlsCryptV2ServerWraps({ serverKey, fallback });
      const old = wraps.create(100);
      value(old.unwrap(0, plainClient.create(100).wrap(reset(7))));
      expect(old.name).toBe(fallback.name);
      expect(old.overheadBytes).toBe(plainClient.create(100).overheadBytes);
      expect(old.unwrap(0, client().wrap(reset(10))).ok).toBe(false);
      const v2 = wraps.create(100);
      value(v2.unwrap(0, client().wrap(reset(10))));
      expect(v2.name).toBe('tls-crypt-v2');
      expect(v2.unwrap(0, plainClient.create(100).wrap(reset(7))).ok).toBe(false);
    }
    expect(server().unwrap(0, tlsCryptWraps({ key, role: 'client' }).create(1).wrap(reset(7))).ok).toBe(false);
  });

  test('tls-auth beside it with a digest so short that its packets are shorter than any of tls-crypt', () => {
    const shared = tlsAuthWraps({ key: new Secret(new Uint8Array(256)), direction: 'both', digest: 'SHA1' });
    const wrapped = shared.create(100).wrap(reset(7));
    expect(wrapped.length).toBeLessThan(49);
    value(tlsCryptV2ServerWraps({ serverKey, fallback: shared }).create(100).unwrap(0, wrapped));
    for (let length = 0; length < wrapped.length; length++) {
      const cut = tlsCryptV2ServerWraps({ serverKey, fallback: shared }).create(100);
      expect(cut.unwrap(0, wrapped.subarray(0, length)).ok).toBe(false);
    }
  });

  test('an authentic key is admitted or not by what it says', () => {
    const judged: [ClientKeyMetadata, number][] = [];
    const wraps = (answer: boolean) =>
      tlsCryptV2ServerWraps({
        serverKey,
        admits: (metadata, unixSeconds) => {
          judged.push([metadata, unixSeconds]);
          return answer;
        },
      });
    value(
      wraps(true)
        .create(77)
        .unwrap(0, client().wrap(reset(10))),
    );
    const refusing = wraps(false).create(78);
    expect(refusing.unwrap(0, client().wrap(reset(10)))).toEqual({
      ok: false,
      reason: 'tls-crypt-v2: client key not admitted',
    });
    expect(refusing.clientKey).toBeUndefined();
    expect(judged.map(([, unixSeconds]) => unixSeconds)).toEqual([77, 78]);
  });

  test('a thousand client keys, a packet of nothing but the wrapped key: all refused', () => {
    for (let seed = 0; seed < 1000; seed++) {
      const random = { fill: (target: Uint8Array): void => void target.fill(seed & 0xff).fill(seed >> 8, 128) };
      const { wrappedKey } = generateTlsCryptV2ClientKey(random, serverKey, { type: 'none' });
      expect(server().unwrap(0, wrappedKey).ok).toBe(false);
      wrappedKey[0] = 10 << 3;
      expect(server().unwrap(0, wrappedKey).ok).toBe(false);
    }
  });

  test('any bytes are refused', () => {
    const first = fc.constantFrom(0x50, 0x58, 0x38, 0x20);
    const length = fc.constantFrom([0, 0], [0, 4], [1, 0x22], [4, 0], [4, 1], [0xea, 0x60]);
    fc.assert(
      fc.property(first, fc.uint8Array({ maxLength: 1200 }), length, (opcode, body, tail) => {
        expect(server().unwrap(0, Uint8Array.from([opcode, ...body, ...tail])).ok).toBe(false);
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});

describe('metadata', () => {
  test('the age is checked where a time is given', () => {
    const made: ClientKeyMetadata = { type: 'timestamp', unixSeconds: 1000 };
    expect(clientKeyIsFresh(made, 1000 + 86_400, 86_400)).toBe(true);
    expect(clientKeyIsFresh(made, 1001 + 86_400, 86_400)).toBe(false);
    expect(clientKeyIsFresh(made, 500, 86_400)).toBe(true);
    expect(clientKeyIsFresh({ type: 'user', bytes: new Uint8Array(8) }, 1000, 86_400)).toBe(false);
    expect(clientKeyIsFresh(parseClientKeyMetadata(fromHex('0100000000000003')), 1000, 86_400)).toBe(false);
  });

  test('any bytes have a meaning, which is written as it came', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (bytes) => {
        const metadata = parseClientKeyMetadata(bytes);
        if (metadata.type !== 'timestamp') expect(emitClientKeyMetadata(metadata)).toEqual(bytes);
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
