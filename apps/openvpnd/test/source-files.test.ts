import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileSource } from '@openvpnd/config';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCredentials } from '../src/host/credentials.js';
import { describeErrno, readSource, SourceFileError } from '../src/host/source-files.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'openvpnd-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

const origin = { file: 'test.conf', line: 3 };

function file(name: string, option = 'ca'): FileSource {
  return { kind: 'file', option, path: join(directory, name), origin };
}

function written(name: string, content: string | Uint8Array, option?: string): FileSource {
  writeFileSync(join(directory, name), content);
  return file(name, option);
}

function inline(text: string, option = 'auth-user-pass'): FileSource {
  return { kind: 'inline', option, text, origin };
}

describe('a file that an option names', () => {
  test('is read whole', () => {
    const bytes = Uint8Array.from({ length: 200_000 }, (_, index) => index * 7);
    expect(new Uint8Array(readSource(written('big', bytes)))).toEqual(bytes);
    expect(readSource(written('empty', '')).length).toBe(0);
  });

  test('may be inline', () => {
    expect(readSource(inline('Grüße\n', 'ca')).toString('utf8')).toBe('Grüße\n');
  });

  test('may be behind a link', () => {
    written('target', 'content');
    symlinkSync('target', join(directory, 'link'));
    expect(readSource(file('link')).toString()).toBe('content');
  });

  test.each([
    ['missing', /^--ca fails with '.*missing': No such file or directory \(errno=2\)$/],
    ['directory', /^--ca fails with '.*directory': Is a directory \(errno=21\)$/],
    ['loop', /: Too many levels of symbolic links \(errno=40\)$/],
    ['target/below', /: Not a directory \(errno=20\)$/],
  ])('%s: refused in OpenVPN’s words', (name, message) => {
    mkdirSync(join(directory, 'directory'), { recursive: true });
    if (name === 'loop') symlinkSync('loop', join(directory, 'loop'));
    if (name.startsWith('target')) written('target', '');
    expect(() => readSource(file(name))).toThrow(SourceFileError);
    expect(() => readSource(file(name))).toThrow(message);
  });

  test('never keeps the daemon waiting: a pipe that nobody writes is empty', () => {
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    expect(readSource(file('pipe')).length).toBe(0);
  });

  test('is read up to 4 MiB, and refused beyond', () => {
    const source = written('long', '');
    truncateSync(join(directory, 'long'), 4 << 20);
    expect(readSource(source).length).toBe(4 << 20);
    truncateSync(join(directory, 'long'), (4 << 20) + 1);
    expect(() => readSource({ ...source })).toThrow(/larger than 4194304 bytes/);
    expect(() => readSource({ ...source, path: '/dev/zero' } as FileSource)).toThrow(/larger than/);
  });
});

test('the words for error codes', () => {
  expect(describeErrno('EACCES')).toBe('Permission denied');
  expect(describeErrno('EIO')).toBe('EIO');
  expect(describeErrno(undefined)).toBe('unknown error');
});

describe('--auth-user-pass', () => {
  const both = { username: 'anna', password: 's3cret word' };

  test('two lines of a file or an inline block', () => {
    expect(readCredentials(written('login', 'anna\ns3cret word\n', 'auth-user-pass'))).toEqual(both);
    expect(readCredentials(inline('anna\ns3cret word'))).toEqual(both);
    // Files of other systems, and what an editor left behind, as OpenVPN.
    expect(readCredentials(inline('anna\r\ns3cret word\x07\r\nmore\n'))).toEqual(both);
  });

  test.each([
    ['empty', ''],
    ['without a password', 'anna'],
    ['with an empty password', 'anna\n\n'],
    ['without a name', '\ns3cret\n'],
    ['with a name of control characters', '\r\ns3cret\n'],
  ])('%s: refused, since nobody is there to be asked', (_, text) => {
    expect(() => readCredentials(inline(text))).toThrow(/^--auth-user-pass: the inline block.* must hold/);
  });

  test('up to 127 bytes each, never cut', () => {
    const long = 'x'.repeat(127);
    expect(readCredentials(inline(`${long}\n${long}\n`))).toEqual({ username: long, password: long });
    expect(() => readCredentials(inline(`${long}y\nok\n`))).toThrow(/user name .*longer than 127 bytes/);
    expect(() => readCredentials(inline(`ok\n${'ü'.repeat(64)}\n`))).toThrow(/password .*longer than 127 bytes/);
  });

  test('a file that cannot be read', () => {
    expect(() => readCredentials(file('nowhere', 'auth-user-pass'))).toThrow(/^--auth-user-pass fails with/);
  });
});
