import { Secret } from '@openvpnd/sans-io';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dynamicTlsCryptKey,
  dynamicTlsCryptWrap,
  plainWrap,
  type TlsRole,
  tlsAuthWraps,
  tlsCryptWraps,
} from '../src/index.js';
import { sealSiv } from '../src/siv-frame.js';
import { tlsCryptKeys } from '../src/tls-crypt.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const all = vectors('tls_crypt');
const packets = all.filter(([, v]) => v.inputs.packet);
const frames = all.filter(([, v]) => v.inputs.key2_256);
const opposite: Record<TlsRole, TlsRole> = { client: 'server', server: 'client' };

function wraps(keyHex: string, role: TlsRole) {
  return tlsCryptWraps({ key: new Secret(fromHex(keyHex)), role });
}

/** Only the server answers with SERVER_V2 and with the sid that the vectors' server has. */
function senderOf(inputs: { packet: string; static_key_256: string }): TlsRole {
  return wraps(inputs.static_key_256, 'server').create(0).unwrap(0, fromHex(inputs.packet)).ok ? 'client' : 'server';
}

test('every vector runs below', () => {
  expect(packets.length + frames.length).toBe(all.length);
});

describe('packets', () => {
  test.each(packets)('%s', (_id, { inputs, expected }) => {
    const packet = fromHex(inputs.packet);
    const sender = senderOf(inputs);
    const plain = value(wraps(inputs.static_key_256, opposite[sender]).create(0).unwrap(0, packet));
    expect(toHex(plain)).toBe(toHex(packet.subarray(0, 9)) + expected.inner);
    expect(plain[0]! >> 3).toBe(expected.opcode);
    expect(toHex(plain.subarray(1, 9))).toBe(expected.session_id);
    expect(wraps(inputs.static_key_256, sender).create(0).unwrap(0, packet).ok).toBe(false);
    const again = wraps(inputs.static_key_256, sender).create(expected.net_time, expected.packet_id).wrap(plain);
    expect(toHex(again)).toBe(inputs.packet);
  });
});

describe('frames', () => {
  test.each(frames)('%s', (_id, { inputs, expected }) => {
    const header = fromHex(
      inputs.header + inputs.packet_id.toString(16).padStart(8, '0') + inputs.net_time.toString(16).padStart(8, '0'),
    );
    const { send } = tlsCryptKeys(new Secret(fromHex(inputs.key2_256)), 'server');
    expect(toHex(header) + toHex(sealSiv(send, header, fromHex(inputs.plaintext)))).toBe(expected.wrapped);
    if (inputs.header.length !== 18) return;
    const wrap = wraps(inputs.key2_256, 'server').create(inputs.net_time, inputs.packet_id);
    expect(toHex(wrap.wrap(fromHex(inputs.header + inputs.plaintext)))).toBe(expected.wrapped);
  });
});

const [, first] = packets[0]!;
const packet = fromHex(first.inputs.packet);

test('every byte counts', () => {
  const server = wraps(first.inputs.static_key_256, 'server');
  for (let i = 0; i < packet.length; i++) {
    for (const byte of [0x23, packet[i]! ^ 1, packet[i]! ^ 0x80]) {
      const changed = packet.slice();
      changed[i] = byte;
      expect(server.create(0).unwrap(0, changed).ok).toBe(byte === packet[i]);
    }
    expect(server.create(0).unwrap(0, packet.subarray(0, i)).ok).toBe(false);
  }
});

test('a packet passes once; a forged one does not use up its id', () => {
  const server = wraps(first.inputs.static_key_256, 'server').create(0);
  const forged = packet.slice();
  forged[packet.length - 1]! ^= 1;
  expect(server.unwrap(0, forged)).toEqual({ ok: false, reason: 'tls-crypt: authentication failed' });
  expect(server.unwrap(0, packet).ok).toBe(true);
  expect(server.unwrap(0, packet)).toEqual({ ok: false, reason: 'tls-crypt: replayed packet id' });
});

test('the packet id wraps into a newer time', () => {
  const key = new Secret(new Uint8Array(256).fill(7));
  const client = tlsCryptWraps({ key, role: 'client' }).create(1000, 0xffff_ffff);
  const server = tlsCryptWraps({ key, role: 'server' }).create(1000);
  const plain = new Uint8Array(14).fill(3);
  const [last, next] = [client.wrap(plain), client.wrap(plain)];
  expect(toHex(last.subarray(9, 17))).toBe('ffffffff000003e8');
  expect(toHex(next.subarray(9, 17))).toBe('00000001000003e9');
  expect(server.unwrap(0, last).ok).toBe(true);
  expect(server.unwrap(0, next).ok).toBe(true);
  expect(server.unwrap(0, last).ok).toBe(false);
});

describe('dynamic tls-crypt', () => {
  const ekm = Uint8Array.from({ length: 256 }, (_, i) => i);
  const fileKey = new Secret(new Uint8Array(256).fill(0xff));
  const plain = new Uint8Array(14).fill(3);

  test('the exported key is XORed with the whole key file', () => {
    expect(toHex(dynamicTlsCryptKey(ekm).bytes)).toBe(toHex(ekm));
    expect([...dynamicTlsCryptKey(ekm, fileKey).bytes]).toEqual([...ekm].map((byte) => 255 - byte));
    expect(() => dynamicTlsCryptKey(ekm.subarray(1))).toThrow(RangeError);
    expect(() => dynamicTlsCryptKey(ekm, new Secret(ekm.subarray(1)))).toThrow(RangeError);
  });

  test.each([
    ['nothing', () => plainWrap(), () => plainWrap()],
    [
      'tls-auth',
      () => tlsAuthWraps({ key: fileKey, direction: 'inverse', digest: 'SHA1' }).create(5),
      () => tlsAuthWraps({ key: fileKey, direction: 'normal', digest: 'SHA1' }).create(5),
    ],
    [
      'tls-crypt',
      () => tlsCryptWraps({ key: fileKey, role: 'client' }).create(5),
      () => tlsCryptWraps({ key: fileKey, role: 'server' }).create(5),
    ],
  ])('over %s both ends agree, and begin with packet 1', (_name, ofClient, ofServer) => {
    const client = dynamicTlsCryptWrap({ ekm, base: ofClient(), role: 'client', unixSeconds: 9 });
    const server = dynamicTlsCryptWrap({ ekm, base: ofServer(), role: 'server', unixSeconds: 9 });
    const wrapped = client.wrap(plain);
    expect(toHex(wrapped.subarray(9, 17))).toBe('0000000100000009');
    expect(value(server.unwrap(0, wrapped))).toEqual(plain);
    expect(value(client.unwrap(0, server.wrap(plain)))).toEqual(plain);
    expect(client.unwrap(0, wrapped).ok).toBe(false);
    const other = dynamicTlsCryptWrap({ ekm: new Uint8Array(256), base: ofServer(), role: 'server', unixSeconds: 9 });
    expect(other.unwrap(0, wrapped).ok).toBe(false);
  });

  test('closing zeroes the session key and leaves the file', () => {
    const base = tlsCryptWraps({ key: fileKey, role: 'client' }).create(5);
    const dynamic = dynamicTlsCryptWrap({ ekm, base, role: 'client', unixSeconds: 9 });
    const key = dynamic.fileKey!;
    expect(key.bytes.some((byte) => byte !== 0)).toBe(true);
    dynamic.close();
    base.close();
    expect(key.bytes.every((byte) => byte === 0)).toBe(true);
    expect(fileKey.bytes.every((byte) => byte === 0xff)).toBe(true);
  });
});

test('any bytes are refused', () => {
  const server = wraps(first.inputs.static_key_256, 'server').create(0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(server.unwrap(0, bytes).ok).toBe(false);
    }),
    { seed: 1, numRuns: 500 },
  );
  expect(server.unwrap(0, new Uint8Array(65535)).ok).toBe(false);
});
