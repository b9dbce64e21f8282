import { describe, expect, it } from 'vitest';
import { readChallenges, readParameters } from '../src/challenge.js';
import { digestResponse } from '../src/digest.js';

/** The example of RFC 7616, section 3.9.1. */
const NONCE = '7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v';
const CHALLENGE = `realm="http-auth@example.org", qop="auth, auth-int", nonce="${NONCE}", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`;
const REQUEST = {
  method: 'GET',
  uri: '/dir/index.html',
  credentials: { username: 'Mufasa', password: 'Circle of Life' },
  clientNonce: 'f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ',
};

function fieldOf(header: string, name: string): string | undefined {
  return readParameters(header.replace(/^Digest /, '')).get(name);
}

function respond(challenge: string, request = REQUEST): string {
  const response = digestResponse(challenge, request);
  if (!response.ok) throw new Error(response.reason);
  return response.header;
}

describe('a digest response', () => {
  it('is that of RFC 7616, with MD5 and with SHA-256', () => {
    const md5 = respond(`${CHALLENGE}, algorithm=MD5`);
    expect(fieldOf(md5, 'response')).toBe('8ca523f5e9506fed4657c9700eebdbec');
    expect(fieldOf(md5, 'opaque')).toBe('FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS');
    expect(md5).toContain('qop=auth, nc=00000001');
    const sha = respond(`${CHALLENGE}, algorithm=SHA-256`);
    expect(fieldOf(sha, 'response')).toBe('753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1');
  });

  it('is one without quality of protection where the proxy offers none', () => {
    // RFC 2069: the example of section 2.4 with the erratum's response.
    const header = respond('realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093"', {
      ...REQUEST,
      credentials: { username: 'Mufasa', password: 'CircleOfLife' },
    });
    expect(fieldOf(header, 'response')).toBe('1949323746fe6a43ef61f9606e7febea');
    expect(header).not.toMatch(/qop|nc=|cnonce/);
  });

  it('binds the secret to both nonces with -sess', () => {
    const plain = fieldOf(respond(`${CHALLENGE}, algorithm=MD5`), 'response');
    const session = fieldOf(respond(`${CHALLENGE}, algorithm=MD5-sess`), 'response');
    expect(session).toMatch(/^[0-9a-f]{32}$/);
    expect(session).not.toBe(plain);
  });

  it('quotes what could end a quotation', () => {
    const header = respond(CHALLENGE, { ...REQUEST, credentials: { username: 'a"b\\c', password: '' } });
    expect(header).toContain('username="a\\"b\\\\c"');
    expect(fieldOf(header, 'username')).toBe('a"b\\c');
  });

  it.each([
    ['realm="x"', 'realm= or nonce= missing'],
    ['nonce="x"', 'realm= or nonce= missing'],
    ['realm="r", nonce="n", algorithm=SHA3-512', 'no support for algorithm SHA3-512'],
    ['realm="r", nonce="n", qop="auth-int"', 'no support for qop auth-int'],
    ['realm="r", nonce="n", algorithm="a\rb"', 'no support for algorithm a?b'],
  ])('has no answer to %s', (challenge, reason) => {
    expect(digestResponse(challenge, REQUEST)).toEqual({ ok: false, reason: expect.stringContaining(reason) });
  });
});

describe('challenges', () => {
  it('are those of known schemes', () => {
    expect(readChallenges(['Negotiate', 'NTLM', 'basic realm="x"', 'Digestive x', 'Digest\trealm=y'])).toEqual([
      { scheme: 'ntlm', text: '' },
      { scheme: 'basic', text: 'realm="x"' },
      { scheme: 'digest', text: 'realm=y' },
    ]);
  });

  it('are read in linear time', () => {
    const texts = ['a'.repeat(4096), 'a '.repeat(2048), 'a="'.repeat(1300), 'a=\\"'.repeat(1000), 'a    '.repeat(800)];
    const times = Array.from({ length: 5 }, () => {
      const started = performance.now();
      for (const text of texts) readParameters(text);
      return performance.now() - started;
    });
    // The shortest: a busy machine may stop us in any one of them, and not in all.
    expect(Math.min(...times)).toBeLessThan(200);
  });
});
