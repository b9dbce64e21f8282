import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { StateFile } from '../src/host/state-file.js';

describe('a state file', () => {
  let directory: string;
  const said: string[] = [];
  const say = (line: string): void => {
    said.push(line);
  };
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'state-file-'));
    said.length = 0;
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  test('is replaced whole, keeps its mode, and leaves nothing beside it', async () => {
    const path = join(directory, 'status');
    writeFileSync(path, 'old and longer');
    chmodSync(path, 0o640);
    const file = await StateFile.open(path, 'read-write', say);
    expect(await file.read()).toBe('old and longer');
    for (const text of ['one', 'two', 'three', 'four']) file.write(text);
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('four');
    expect(statSync(path).mode & 0o777).toBe(0o640);
    expect(readdirSync(directory)).toEqual(['status']);
    expect(said).toEqual([]);
  });

  test('is made for its owner alone', async () => {
    const path = join(directory, 'status');
    await (await StateFile.open(path, 'write', say)).close();
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('is written over in place where no file can be put beside it', async () => {
    const path = join(directory, 'status');
    writeFileSync(path, 'something long');
    const file = await StateFile.open(path, 'read-write', say);
    // A directory in the place of the file beside: root too cannot make it.
    const beside = `${path}.${process.pid}.tmp`;
    mkdirSync(beside);
    file.write('short');
    await file.close();
    expect(readFileSync(path, 'utf8')).toBe('short');
    expect(said).toEqual([]);
  });

  test('a full disk is told once, and the daemon goes on', async () => {
    const file = await StateFile.open('/dev/full', 'write', say);
    file.write('one');
    await new Promise((resolve) => setImmediate(resolve));
    file.write('two');
    await file.close();
    expect(said).toHaveLength(1);
    expect(said[0]).toMatch(/^WARNING: cannot write \/dev\/full: ENOSPC/);
  });

  test('a pipe that nobody reads is refused at once', async () => {
    const path = join(directory, 'pipe');
    execFileSync('mkfifo', [path]);
    await expect(StateFile.open(path, 'write', say)).rejects.toMatchObject({ code: 'ENXIO' });
  });

  test('one that cannot be opened is an error of the system', async () => {
    await expect(StateFile.open(join(directory, 'no', 'such'), 'write', say)).rejects.toThrow(/ENOENT/);
    await expect(StateFile.open(join(directory, 'missing'), 'read', say)).rejects.toThrow(/ENOENT/);
  });
});
