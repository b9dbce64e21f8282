import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  emitOccMessage,
  fragmentHeader,
  fragmentNumber,
  fragmentSequenceId,
  fragmentSize,
  fragmentType,
  framePacket,
  guessStreamProtocol,
  isOcc,
  isPing,
  OCC_MAGIC,
  type OccMessage,
  type Parsed,
  PING_PAYLOAD,
  parseOccMessage,
  StreamDeframer,
} from '../src/index.js';
import { fromHex, toHex, value, vectors } from './vectors.js';

const all = vectors('framing_reliable');

describe('fragment header vectors', () => {
  test.each(all.filter((v) => v.id.startsWith('frag-')).map((v) => [v.id, v] as const))(
    '%s',
    (_id, { inputs, expected }) => {
      const header = fragmentHeader(inputs.type, inputs.seq_id, inputs.frag_id, inputs.size);
      expect(header.toString(16).padStart(8, '0')).toBe(expected.header);
      expect([fragmentType(header), fragmentSequenceId(header), fragmentNumber(header), fragmentSize(header)]).toEqual([
        inputs.type,
        inputs.seq_id,
        inputs.frag_id,
        inputs.size,
      ]);
    },
  );
});

describe('stream vectors', () => {
  const deframer = (): StreamDeframer => new StreamDeframer({ maxPacketBytes: 2048 });
  test.each(all.filter((v) => v.inputs.chunks).map((v) => [v.id, v] as const))('%s', (_id, { inputs, expected }) => {
    const stream = deframer();
    const results = inputs.chunks.map((chunk: string) => stream.handleBytes(fromHex(chunk)));
    if (expected.error) {
      expect(results.at(-1).ok).toBe(false);
      expect(stream.handleBytes(fromHex('000138')).ok).toBe(false);
      expect(stream.badLength === 0 || Number(stream.badLength) > 2048).toBe(true);
    } else {
      expect(results.flatMap((result: Parsed<readonly Uint8Array[]>) => value(result)).map(toHex)).toEqual(
        expected.packets,
      );
    }
  });

  test('tcp-split-everywhere', () => {
    const { inputs, expected } = all.find((v) => v.inputs.cut)!;
    const bytes = fromHex(inputs.stream);
    for (let first = 0; first <= bytes.length; first++) {
      for (let second = first; second <= bytes.length; second++) {
        const stream = deframer();
        const chunks = [bytes.subarray(0, first), bytes.subarray(first, second), bytes.subarray(second)];
        expect(chunks.flatMap((chunk) => value(stream.handleBytes(chunk)).map(toHex))).toEqual(expected.packets);
      }
    }
    const stream = deframer();
    expect([...bytes].flatMap((byte) => value(stream.handleBytes(Uint8Array.of(byte))).map(toHex))).toEqual(
      expected.packets,
    );
  });

  test('the longest packet passes, one byte more does not', () => {
    expect(value(deframer().handleBytes(framePacket(new Uint8Array(2048))))).toHaveLength(1);
    expect(deframer().handleBytes(framePacket(new Uint8Array(2049))).ok).toBe(false);
  });

  test('any stream of packets in any chunks comes out as it went in', () => {
    const packets = fc.array(fc.uint8Array({ minLength: 1, maxLength: 100 }), { maxLength: 10 });
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1 }), (list, sizes) => {
        const bytes = Uint8Array.from(list.flatMap((packet) => [...framePacket(packet)]));
        const stream = deframer();
        const out: string[] = [];
        for (let offset = 0, i = 0; offset < bytes.length; i++) {
          const size = sizes[i % sizes.length]!;
          out.push(...value(stream.handleBytes(bytes.subarray(offset, offset + size))).map(toHex));
          offset += size;
        }
        expect(out).toEqual(list.map(toHex));
      }),
      { seed: 1, numRuns: 200 },
    );
  });
});

describe('magic', () => {
  test('ping', () => {
    const { expected } = all.find((v) => v.id === 'ping')!;
    expect(toHex(PING_PAYLOAD)).toBe(expected.payload);
    expect(isPing(fromHex(`00${expected.payload}00`), 1, 16)).toBe(true);
    expect(isPing(fromHex(`00${expected.payload}00`), 1, 17)).toBe(false);
    expect(isPing(fromHex(`00${expected.payload}00`), 0, 16)).toBe(false);
  });

  test('occ-magic', () => {
    const { expected } = all.find((v) => v.id === 'occ-magic')!;
    expect(toHex(OCC_MAGIC)).toBe(expected.magic);
    expect(toHex(emitOccMessage({ type: 'EXIT' }))).toBe(expected.exit);
    expect(isOcc(OCC_MAGIC, 0, 16)).toBe(false);
  });
});

test.each<OccMessage>([
  { type: 'REQUEST' },
  { type: 'REPLY', optionsString: 'V4,dev-type tun' },
  { type: 'MTU_LOAD_REQUEST', bytes: 1500 },
  { type: 'MTU_LOAD', fillerBytes: 7 },
  { type: 'MTU_REQUEST' },
  { type: 'MTU_REPLY', largestReceived: 1400, largestSent: 65535 },
  { type: 'EXIT' },
])('occ $type goes and comes back', (message) => {
  expect(value(parseOccMessage(emitOccMessage(message)))).toEqual(message);
});

test.each(['07', '02', '0201', '05000102', '01', '0141'])('occ %s is refused', (body) => {
  expect(parseOccMessage(fromHex(toHex(OCC_MAGIC) + body)).ok).toBe(false);
});

test.each([
  ['', 'unknown-yet'],
  ['00', 'unknown-yet'],
  ['000e', 'openvpn'],
  ['000e38', 'openvpn'],
  ['00ff38', 'openvpn'],
  ['000d38', 'other'],
  ['010038', 'other'],
  ['000e08', 'other'],
  ['000e40', 'other'],
  ['015050', 'openvpn'],
  ['014f50', 'other'],
  ['04fe50', 'openvpn'],
  ['04ff50', 'other'],
  ['160301', 'other'],
  ['474554', 'other'],
])('a stream that starts with %s is %s', (hex, guess) => {
  expect(guessStreamProtocol(fromHex(hex))).toBe(guess);
});

test('every vector of the file that belongs here has run', () => {
  const here = all.filter((v) => /^(frag-|tcp-|ping|occ-magic)/.test(v.id));
  expect(here).toHaveLength(5 + 5 + 2);
});
