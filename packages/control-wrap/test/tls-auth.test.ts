import { Secret } from '@openvpnd/sans-io';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type TlsAuthDirection, tlsAuthWraps } from '../src/index.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const all = vectors('tls_auth');
const opposite: Record<TlsAuthDirection, TlsAuthDirection> = { normal: 'inverse', inverse: 'normal', both: 'both' };

function receiver(inputs: { static_key_256: string; auth: string }, direction: TlsAuthDirection) {
  const key = new Secret(fromHex(inputs.static_key_256));
  return tlsAuthWraps({ key, direction, digest: inputs.auth });
}

function receivingDirection(inputs: { receiver_direction?: number; sender_direction?: number }): TlsAuthDirection {
  return inputs.receiver_direction === 0 || inputs.sender_direction === 1 ? 'normal' : 'inverse';
}

describe('vectors', () => {
  test.each(all)('%s', (_id, { inputs, expected }) => {
    const packet = fromHex(inputs.packet);
    const direction = receivingDirection(inputs);
    const plain = value(receiver(inputs, direction).create(0).unwrap(0, packet));
    expect(toHex(plain)).toBe(toHex(packet.subarray(0, 9)) + expected.inner);
    expect(plain[0]! >> 3).toBe(expected.opcode);
    expect(plain[0]! & 7).toBe(expected.key_id);
    expect(toHex(plain.subarray(1, 9))).toBe(expected.session_id);
    expect(receiver(inputs, opposite[direction]).create(0).unwrap(0, packet).ok).toBe(false);
    expect(receiver(inputs, 'both').create(0).unwrap(0, packet).ok).toBe(direction === 'inverse');

    // Sealed again from the other end: the same bytes.
    const sender = receiver(inputs, opposite[direction]).create(expected.net_time, expected.packet_id);
    expect(toHex(sender.wrap(plain))).toBe(inputs.packet);
  });
});

const [, captured] = all.find(([id]) => id === 'captured-0')!;
const packet = fromHex(captured.inputs.packet);

test('every bit counts', () => {
  const wraps = receiver(captured.inputs, 'normal');
  for (let bit = 0; bit < 8 * packet.length; bit++) {
    const changed = packet.slice();
    changed[bit >> 3]! ^= 1 << (bit & 7);
    expect(wraps.create(0).unwrap(0, changed).ok).toBe(false);
  }
  for (let length = 0; length < packet.length; length++) {
    expect(wraps.create(0).unwrap(0, packet.subarray(0, length)).ok).toBe(false);
  }
});

test('a packet passes once, and one that was refused may still pass', () => {
  const wrap = receiver(captured.inputs, 'normal').create(0);
  const forged = packet.slice();
  forged[packet.length - 1]! ^= 1;
  expect(wrap.unwrap(0, forged)).toEqual({ ok: false, reason: 'tls-auth: authentication failed' });
  expect(wrap.unwrap(0, packet).ok).toBe(true);
  expect(wrap.unwrap(0, packet)).toEqual({ ok: false, reason: 'tls-auth: replayed packet id' });
});

test('each wrapping takes a new packet id and keeps the time', () => {
  const wrap = receiver(captured.inputs, 'inverse').create(1000);
  const ids = [1, 2, 3].map(() => toHex(wrap.wrap(packet.subarray(0, 9)).subarray(41, 49)));
  expect(ids).toEqual(['00000001000003e8', '00000002000003e8', '00000003000003e8']);
});

test.each(['MD5', 'SHA1', 'SHA224', 'SHA256', 'SHA384', 'SHA512', 'RIPEMD160'])(
  'digest %s goes and comes back',
  (digest) => {
    const key = new Secret(Uint8Array.from({ length: 256 }, (_, i) => i));
    const plain = Uint8Array.from({ length: 14 }, (_, i) => i);
    const client = tlsAuthWraps({ key, direction: 'inverse', digest }).create(1);
    const server = tlsAuthWraps({ key, direction: 'normal', digest }).create(1);
    expect(client.wrap(plain)).toHaveLength(plain.length + client.overheadBytes);
    expect(value(server.unwrap(0, client.wrap(plain)))).toEqual(plain);
    expect(value(client.unwrap(0, server.wrap(plain)))).toEqual(plain);
    expect(client.unwrap(0, client.wrap(plain)).ok).toBe(false);
  },
);

test('a digest that does not exist and a key of a wrong length are seen at once', () => {
  const key = new Secret(new Uint8Array(256));
  expect(() => tlsAuthWraps({ key, direction: 'both', digest: 'SHA3000' })).toThrow();
  expect(() => tlsAuthWraps({ key: new Secret(new Uint8Array(128)), direction: 'both', digest: 'SHA1' })).toThrow(
    RangeError,
  );
});

test('any bytes are refused', () => {
  const wrap = receiver(captured.inputs, 'normal').create(0);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      expect(wrap.unwrap(0, bytes).ok).toBe(false);
    }),
    { seed: 1, numRuns: 500 },
  );
  expect(wrap.unwrap(0, new Uint8Array(65535)).ok).toBe(false);
});
