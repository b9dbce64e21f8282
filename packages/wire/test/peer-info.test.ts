import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { emitPeerInfo, parsePeerInfo, peerInfoInteger, peerInfoPeerId } from '../src/index.js';
import { vectors } from './vectors.js';

describe('vectors', () => {
  test.each(vectors('peer_info').map((v) => [v.id, v] as const))('%s', (_id, { inputs, expected }) => {
    const info = parsePeerInfo(inputs.peer_info);
    if (inputs.key) expect(peerInfoInteger(info, inputs.key)).toBe(expected.value);
    else expect(peerInfoPeerId(info) ?? null).toBe(expected.peer_id);
  });
});

test('order is kept, the first of two counts, other lines are skipped', () => {
  const info = parsePeerInfo('B=1\nnonsense\nA=2\nB=3\n=4\nX-Y=5\nC=\u001b[2J\nD=\r\nE=\n');
  expect([...info]).toEqual([
    ['B', '1'],
    ['A', '2'],
    ['E', ''],
  ]);
});

test('the peer id is at most 0xfffffe', () => {
  expect(peerInfoPeerId(parsePeerInfo('ID=fffffe'))).toBe(0xfffffe);
  expect(peerInfoPeerId(parsePeerInfo('ID=ffffff'))).toBeUndefined();
  expect(peerInfoPeerId(parsePeerInfo('ID='))).toBeUndefined();
  expect(peerInfoPeerId(parsePeerInfo('ID=0'))).toBe(0);
});

test('a number does not overflow', () => {
  expect(peerInfoInteger(parsePeerInfo('IV_PROTO=99999999999999999999'), 'IV_PROTO')).toBe(0x7fff_ffff);
  expect(peerInfoInteger(parsePeerInfo('IV_PROTO=-2'), 'IV_PROTO')).toBe(0);
});

test('emit writes lines, and refuses what would forge one', () => {
  expect(
    emitPeerInfo([
      ['IV_VER', '2.6'],
      ['IV_PROTO', '990'],
    ]),
  ).toBe('IV_VER=2.6\nIV_PROTO=990\n');
  expect(() => emitPeerInfo([['UV_X', 'a\nIV_PROTO=2']])).toThrow(RangeError);
  expect(() => emitPeerInfo([['UV=X', 'a']])).toThrow(RangeError);
});

test('any text gives a map', () => {
  fc.assert(
    fc.property(latin1(300), (text) => {
      expect(parsePeerInfo(text).size).toBeLessThanOrEqual(text.length);
    }),
    { seed: 1, numRuns: 500 },
  );
});

function latin1(maxLength: number): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength }).map((bytes) => String.fromCharCode(...bytes));
}
