import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type ControlPacket,
  controlPacketOverhead,
  emitControlPacket,
  isZeroSessionId,
  opcodeName,
  P_ACK_V1,
  P_CONTROL_V1,
  parseControlPacket,
} from '../src/index.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const plain = vectors('pkt_parse').filter((v) => v.inputs.wrap === 'none');

describe('packets that parse', () => {
  const cases = plain.filter((v) => v.expected?.opcode !== undefined);
  test.each(cases.map((v) => [v.id, v] as const))('%s', (_id, { inputs, expected }) => {
    const packet = value(parseControlPacket(fromHex(inputs.packet)));
    expect({
      opcode: packet.opcode,
      opcode_name: opcodeName(packet.opcode),
      key_id: packet.keyId,
      session_id: toHex(packet.sessionId),
      acks: packet.acks,
      ...(packet.remoteSessionId && { remote_session_id: toHex(packet.remoteSessionId) }),
      ...(packet.messageId !== undefined && { message_id: packet.messageId, payload: toHex(packet.payload) }),
    }).toEqual(expected);
    expect(toHex(emitControlPacket(packet))).toBe(inputs.packet);
  });
});

describe('packets that must not parse', () => {
  const cases = plain.filter((v) => v.expected === null);
  test.each(cases.map((v) => [v.id, v] as const))('%s', (_id, { inputs }) => {
    expect(parseControlPacket(fromHex(inputs.packet)).ok).toBe(false);
  });
});

describe('malformed packets', () => {
  // These say that no session starts. Some are well-formed: whoever starts sessions refuses them.
  const wellFormed = [
    'mal-keyid7-reset',
    'mal-zero-sid',
    'mal-ack0',
    'mal-reset-id1',
    'mal-reset-idmax',
    'mal-reset-trailing',
    'mal-soft-unknown',
  ];
  const cases = plain.filter((v) => v.id.startsWith('mal-'));
  test.each(cases.map((v) => [v.id, v] as const))('%s', (id, { inputs }) => {
    const result = parseControlPacket(fromHex(inputs.packet));
    expect(result.ok).toBe(wellFormed.includes(id));
  });

  test('a zero session id is seen by its own check', () => {
    const zero = plain.find((v) => v.id === 'mal-zero-sid')!;
    expect(isZeroSessionId(value(parseControlPacket(fromHex(zero.inputs.packet))).sessionId)).toBe(true);
    expect(isZeroSessionId(fromHex('0000000000000001'))).toBe(false);
  });
});

test('every cut of every packet is refused or parses as a shorter payload', () => {
  for (const { inputs } of plain) {
    const bytes = fromHex(inputs.packet);
    for (let length = 0; length < bytes.length; length++) {
      const result = parseControlPacket(bytes.subarray(0, length));
      if (result.ok)
        expect(controlPacketOverhead(result.value.opcode, result.value.acks.length)).toBeLessThanOrEqual(length);
    }
  }
});

test.each([
  ['Uint8Array', fromHex(plain[1]!.inputs.packet)],
  ['Buffer', Buffer.from(plain[1]!.inputs.packet, 'hex')],
])('the result does not borrow from a %s', (_name, bytes) => {
  const packet = value(parseControlPacket(bytes));
  const before = toHex(emitControlPacket(packet));
  bytes.fill(0xdd);
  expect(toHex(emitControlPacket(packet))).toBe(before);
});

const sid = fc.uint8Array({ minLength: 8, maxLength: 8 });
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const packets: fc.Arbitrary<ControlPacket> = fc
  .record({
    opcode: fc.constantFrom(3, 4, 5, 7, 8, 10, 11),
    keyId: fc.integer({ min: 0, max: 7 }),
    sessionId: sid,
    acks: fc.array(u32, { maxLength: 8 }),
    remote: sid,
    messageId: u32,
    payload: fc.uint8Array({ maxLength: 1300 }),
  })
  .map(({ opcode, keyId, sessionId, acks, remote, messageId, payload }) => ({
    opcode,
    keyId,
    sessionId,
    acks,
    ...(acks.length > 0 && { remoteSessionId: remote }),
    ...(opcode !== P_ACK_V1 && { messageId }),
    payload: opcode === P_ACK_V1 ? new Uint8Array(0) : payload,
  }));

test('emit and parse are inverse', () => {
  fc.assert(
    fc.property(packets, (packet) => {
      const bytes = emitControlPacket(packet);
      expect(bytes.length).toBe(controlPacketOverhead(packet.opcode, packet.acks.length) + packet.payload.length);
      expect(value(parseControlPacket(bytes))).toEqual(packet);
    }),
    { seed: 1, numRuns: 300 },
  );
});

test('any bytes give a value or a reason', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const result = parseControlPacket(bytes);
      if (result.ok) expect(result.value.acks.length).toBeLessThanOrEqual(8);
      else expect(result.reason).not.toBe('');
    }),
    { seed: 1, numRuns: 2000 },
  );
  expect(parseControlPacket(new Uint8Array(65535).fill(0x20)).ok).toBe(false);
  expect(parseControlPacket(new Uint8Array(65535).fill(0x20).fill(0, 9)).ok).toBe(true);
});

test('a packet that contradicts itself is our bug', () => {
  const sessionId = new Uint8Array(8).fill(1);
  const payload = new Uint8Array(0);
  expect(() =>
    emitControlPacket({ opcode: P_CONTROL_V1, keyId: 0, sessionId, acks: [1], messageId: 1, payload }),
  ).toThrow(RangeError);
  expect(() => emitControlPacket({ opcode: P_CONTROL_V1, keyId: 0, sessionId, acks: [], payload })).toThrow(RangeError);
  expect(() => emitControlPacket({ opcode: P_ACK_V1, keyId: 0, sessionId, acks: [], messageId: 1, payload })).toThrow(
    RangeError,
  );
  expect(() => emitControlPacket({ opcode: 9, keyId: 0, sessionId, acks: [], messageId: 1, payload })).toThrow(
    RangeError,
  );
});
