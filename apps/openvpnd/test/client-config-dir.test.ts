import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { clientConfigFrom } from '../src/server/client-config-dir.js';

let root: string;
let directory: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'openvpnd-test-'));
  directory = join(root, 'ccd');
  mkdirSync(join(directory, 'folder'), { recursive: true });
  writeFileSync(join(root, 'outside'), 'disable\n');
  writeFileSync(join(directory, 'anna'), 'ifconfig-push 10.8.0.7 255.255.255.0\n');
  writeFileSync(join(directory, 'berta b@example.org'), 'disable\n');
  writeFileSync(join(directory, 'wrong'), 'no-such-option\niroute 10.1.0.0 255.255.0.0\n');
});
afterAll(() => rmSync(root, { recursive: true }));

function ask(commonName: string, exclusive = false, lines: string[] = []) {
  return clientConfigFrom(directory, exclusive, (line) => lines.push(line))(commonName);
}

function withDefault(check: () => void): void {
  const path = join(directory, 'DEFAULT');
  writeFileSync(path, 'push "ping 7"\n');
  try {
    check();
  } finally {
    rmSync(path);
  }
}

describe('--client-config-dir', () => {
  test('without it nothing is known of anybody', () => {
    expect(clientConfigFrom(undefined, true, () => {})('anna')).toEqual({ type: 'none' });
  });

  test('a client has the file of its name', () => {
    const lines: string[] = [];
    const answer = ask('anna', false, lines);
    expect(answer.type === 'found' && answer.config.ifconfig?.local).toBe('10.8.0.7');
    expect(lines).toEqual([`OPTIONS IMPORT: reading client specific options from: ${directory}/anna`]);
    const disabled = ask('berta b@example.org');
    expect(disabled.type === 'found' && disabled.config.disabled).toBe(true);
  });

  test('a bad line is told of and skipped', () => {
    const lines: string[] = [];
    const answer = ask('wrong', false, lines);
    expect(answer.type === 'found' && answer.config.iroutes).toHaveLength(1);
    expect(lines[0]).toContain('no-such-option');
  });

  test('others have DEFAULT, if it is there', () => {
    expect(ask('nobody')).toEqual({ type: 'none' });
    withDefault(() => {
      const answer = ask('nobody');
      expect(answer.type === 'found' && answer.config.pushEdits).toHaveLength(1);
      expect(ask('anna').type === 'found' && ask('anna')).not.toEqual(answer);
    });
  });

  test('a file that cannot be read refuses its client, and nobody else', () => {
    expect(ask('folder')).toMatchObject({ type: 'refused', reason: expect.stringContaining('Is a directory') });
    expect(ask('anna').type).toBe('found');
  });
});

describe('--ccd-exclusive', () => {
  test('only who has a file of its own comes in, DEFAULT or not', () => {
    expect(ask('anna', true).type).toBe('found');
    expect(ask('nobody', true)).toMatchObject({ type: 'refused', reason: expect.stringContaining("'nobody'") });
    withDefault(() => expect(ask('nobody', true).type).toBe('refused'));
  });
});

test.each(['../outside', '..', '.', 'a/b', '', '\0', 'anna\0', 'x'.repeat(256), 'tab\t', 'new\nline'])(
  'a common name that is no file name never leads out of the directory: %j',
  (commonName) => {
    expect(ask(commonName)).toEqual({ type: 'none' });
    expect(ask(commonName, true).type).toBe('refused');
    withDefault(() => expect(ask(commonName).type).toBe('found'));
  },
);

test('a common name of DEFAULT has no file of its own', () => {
  withDefault(() => expect(ask('DEFAULT', true).type).toBe('refused'));
});
