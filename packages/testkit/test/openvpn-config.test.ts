import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeConfig } from '@openvpnd/testkit/node';
import { afterEach, beforeEach, expect, test } from 'vitest';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'openvpnd-config-'));
});
afterEach(() => rmSync(directory, { recursive: true }));

test('a configuration is its owner’s alone', () => {
  const path = writeConfig(directory, 'client.conf', 'client\n');
  expect(path).toBe(join(directory, 'client.conf'));
  expect(readFileSync(path, 'utf8')).toBe('client\n');
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test('one that is there stays as it is', () => {
  const paths = ['one', 'two', 'three'].map((text) => writeConfig(directory, 'client.conf', text));
  expect(paths.map((path) => path.slice(directory.length + 1))).toEqual([
    'client.conf',
    'client-2.conf',
    'client-3.conf',
  ]);
  expect(paths.map((path) => readFileSync(path, 'utf8'))).toEqual(['one', 'two', 'three']);
});

test('a directory that is not there is an error', () => {
  expect(() => writeConfig(join(directory, 'nowhere'), 'client.conf', '')).toThrow(/ENOENT/);
});
