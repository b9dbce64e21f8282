import { findDataCipher, sealedBytesOf } from '@openvpnd/keygen';
import { emitOccMessage } from '@openvpnd/wire';
import { describe, expect, test } from 'vitest';
import { type OccFacts, occAnswer } from '../src/occ-answer.js';

function facts(cipher: string, more: Partial<OccFacts> = {}): OccFacts {
  const found = findDataCipher(cipher);
  if (found === undefined) throw new Error(cipher);
  const shape = { cipher: found, digestBytes: 20, mode: 'tls', peerId: true } as const;
  return {
    optionsString: 'V4',
    tunMtu: 1500,
    shape,
    counters: { largestReceived: 1400, largestSent: 70_000 },
    ...more,
  };
}

describe('answers to OCC messages', () => {
  test('a request is answered with the options string', () => {
    expect(occAnswer({ type: 'REQUEST' }, facts('AES-256-GCM'))).toEqual({ type: 'REPLY', optionsString: 'V4' });
  });

  test('the largest packets of both directions', () => {
    expect(occAnswer({ type: 'MTU_REQUEST' }, facts('AES-256-GCM'))).toEqual({
      type: 'MTU_REPLY',
      largestReceived: 1400,
      largestSent: 0xffff,
    });
  });

  for (const cipher of ['AES-256-GCM', 'CHACHA20-POLY1305', 'none']) {
    test(`a load is as long on the wire as was asked: ${cipher}`, () => {
      const given = facts(cipher);
      const answer = occAnswer({ type: 'MTU_LOAD_REQUEST', bytes: 1000 }, given);
      if (answer === undefined || given.shape === undefined) throw new Error('no answer');
      expect(sealedBytesOf(emitOccMessage(answer).length, given.shape)).toBe(1000);
    });
  }

  test('a load of CBC keeps below, by less than a block', () => {
    const given = facts('AES-256-CBC');
    const answer = occAnswer({ type: 'MTU_LOAD_REQUEST', bytes: 1000 }, given);
    if (answer === undefined || given.shape === undefined) throw new Error('no answer');
    const bytes = sealedBytesOf(emitOccMessage(answer).length, given.shape);
    expect(bytes).toBeLessThanOrEqual(1000);
    expect(bytes).toBeGreaterThan(984);
  });

  test('no load is larger than a full packet, nor smaller than its header', () => {
    const large = occAnswer({ type: 'MTU_LOAD_REQUEST', bytes: 65_535 }, facts('AES-256-GCM'));
    expect(large).toEqual({ type: 'MTU_LOAD', fillerBytes: 1500 - 17 });
    const small = occAnswer({ type: 'MTU_LOAD_REQUEST', bytes: 0 }, facts('AES-256-GCM'));
    expect(small).toEqual({ type: 'MTU_LOAD', fillerBytes: 0 });
  });

  test('nothing is answered to answers, nor without a key', () => {
    const given = facts('AES-256-GCM');
    expect(occAnswer({ type: 'REPLY', optionsString: 'V4' }, given)).toBeUndefined();
    expect(occAnswer({ type: 'MTU_LOAD', fillerBytes: 3 }, given)).toBeUndefined();
    expect(occAnswer({ type: 'MTU_REPLY', largestReceived: 1, largestSent: 2 }, given)).toBeUndefined();
    expect(occAnswer({ type: 'EXIT' }, given)).toBeUndefined();
    expect(occAnswer({ type: 'MTU_LOAD_REQUEST', bytes: 9 }, { ...given, shape: undefined })).toBeUndefined();
  });
});
