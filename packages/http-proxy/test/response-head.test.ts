import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type HeadProgress, headerValues, MAX_HEAD_BYTES, ResponseHeadReader } from '../src/response-head.js';

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

function readAll(...chunks: Uint8Array[]): HeadProgress {
  const reader = new ResponseHeadReader();
  let progress: HeadProgress = { state: 'more' };
  for (const chunk of chunks) {
    progress = reader.handleBytes(chunk);
    if (progress.state !== 'more') break;
  }
  return progress;
}

describe('the head of a response', () => {
  it('has a status, headers in any spelling, and what follows it', () => {
    const progress = readAll(
      bytes('HTTP/1.0 407 No\r\nProxy-Authenticate:  Basic\r\nPROXY-authenticate: NTLM\nx\r\n\r\nbody'),
    );
    if (progress.state !== 'complete') throw new Error(progress.state);
    expect(progress.head.status).toBe(407);
    expect(progress.head.statusLine).toBe('HTTP/1.0 407 No');
    expect(headerValues(progress.head, 'proxy-authenticate')).toEqual(['Basic', 'NTLM']);
    expect(Buffer.from(progress.rest).toString()).toBe('body');
  });

  it('needs no reason behind the status, and takes a bare LF for the end of a line', () => {
    expect(readAll(bytes('HTTP/1.1 200\n\n'))).toMatchObject({ state: 'complete', head: { status: 200, headers: [] } });
  });

  it.each([
    'SSH-2.0-x\r\n\r\n',
    'HTTP/1.1 20 x\r\n\r\n',
    'HTTP/1.1 0200 x\r\n\r\n',
    'HTTP/1.1 2000\r\n\r\n',
    '\r\n\r\n',
  ])('refuses %j', (text) => expect(readAll(bytes(text))).toEqual({ state: 'bad', reason: 'no HTTP response' }));

  it('has a bound, with and without an end', () => {
    const long = `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(MAX_HEAD_BYTES)}`;
    expect(readAll(bytes(long)).state).toBe('bad');
    expect(readAll(bytes(`${long}\r\n\r\n`)).state).toBe('bad');
    expect(readAll(bytes(`HTTP/1.1 200 OK\r\nx: ${'y'.repeat(MAX_HEAD_BYTES - 24)}\r\n\r\n`)).state).toBe('complete');
  });

  it('cannot write lines of its own into a log', () => {
    const progress = readAll(bytes('HTTP/1.1 200 \x1b[2J\rOK\r\n\r\n'));
    expect(progress).toMatchObject({ head: { statusLine: 'HTTP/1.1 200 ?[2J?OK' } });
  });

  it('is the same wherever the pieces end', () => {
    const whole = bytes('HTTP/1.1 407 No\r\nA: b\r\nC: d\r\n\r\n');
    const expected = readAll(whole);
    for (let cut = 1; cut < whole.length; cut += 1) {
      const pieces = readAll(whole.subarray(0, cut), whole.subarray(cut));
      expect(pieces).toEqual(expected);
      expect(readAll(whole.subarray(0, cut)).state).toBe('more');
    }
    expect(readAll(...Array.from(whole, (_, at) => whole.subarray(at, at + 1)))).toEqual(expected);
  });

  it('is found or refused in any bytes, without a throw', () => {
    const piece = fc.oneof(fc.uint8Array(), fc.constantFrom('HTTP/1.1 200 OK', '\r\n', '\n', 'a: b').map(bytes));
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (chunks) => {
        expect(['more', 'complete', 'bad']).toContain(readAll(...chunks).state);
      }),
    );
  });
});
