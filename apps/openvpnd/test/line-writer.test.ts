import { execFileSync } from 'node:child_process';
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { LineWriter, type LineWriterOptions } from '../src/log/line-writer.js';

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'openvpnd-test-'));
});
afterAll(() => rmSync(directory, { recursive: true }));
beforeEach(() => {
  vi.useFakeTimers();
  vi.setSystemTime(new Date(2026, 10, 21, 4, 8, 5, 42));
});
afterEach(() => vi.useRealTimers());

let files = 0;

/** What a log of these options holds after `write` has been through. */
function logged(options: Partial<LineWriterOptions>, write: (writer: LineWriter) => void): string {
  files += 1;
  const path = join(directory, `log${files}`);
  const writer = new LineWriter({ timestamps: true, microseconds: false, file: { path, append: false }, ...options });
  write(writer);
  writer.close();
  return readFileSync(options.file?.path ?? path, 'utf8');
}

test('each line has the local time, to the second', () => {
  const text = logged({}, (writer) => {
    writer.write('one');
    vi.advanceTimersByTime(958);
    writer.write('two');
  });
  expect(text).toBe('2026-11-21 04:08:05 one\n2026-11-21 04:08:06 two\n');
});

test('with microseconds, as --verb 4 has them', () => {
  expect(logged({ microseconds: true }, (writer) => writer.write('one'))).toBe('2026-11-21 04:08:05 us=42000 one\n');
});

test('--suppress-timestamps', () => {
  expect(logged({ timestamps: false, microseconds: true }, (writer) => writer.write('one'))).toBe('one\n');
});

test('one event is one line, whatever a peer put into it', () => {
  const text = logged({ timestamps: false }, (writer) => writer.write('CN=a\r\n2026-11-21 04:08:05 forged\nline'));
  expect(text).toBe('CN=a 2026-11-21 04:08:05 forged line\n');
});

test('--log begins anew, --log-append goes on; others may not read it', () => {
  const path = join(directory, 'kept');
  writeFileSync(path, 'old\n');
  const append = { timestamps: false, file: { path, append: true } };
  expect(logged(append, (writer) => writer.write('new'))).toBe('old\nnew\n');
  expect(logged({ timestamps: false, file: { path, append: false } }, (writer) => writer.write('fresh'))).toBe(
    'fresh\n',
  );
  const fresh = join(directory, 'fresh');
  logged({ file: { path: fresh, append: true } }, (writer) => writer.write('x'));
  expect(statSync(fresh).mode & 0o077).toBe(0);
});

test('a log that cannot be opened is an error, one that cannot be written is none', () => {
  const nowhere = { path: join(directory, 'no', 'where'), append: false };
  expect(() => new LineWriter({ timestamps: false, microseconds: false, file: nowhere })).toThrow(/ENOENT/);
  const full = new LineWriter({ timestamps: false, microseconds: false, file: { path: '/dev/full', append: true } });
  expect(() => full.write('lost')).not.toThrow();
  full.close();
});

test('the lines of a turn are written together when it is over', async () => {
  const path = join(directory, 'together');
  const writer = new LineWriter({ timestamps: false, microseconds: false, file: { path, append: false } });
  writer.write('one');
  writer.write('two');
  expect(readFileSync(path, 'utf8')).toBe('');
  await Promise.resolve();
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\n');
  writer.write('three');
  await Promise.resolve();
  expect(readFileSync(path, 'utf8')).toBe('one\ntwo\nthree\n');
  writer.close();
});

test('whoever reads them from a pipe too slowly gets whole lines', () => {
  const path = join(directory, 'pipe');
  execFileSync('mkfifo', [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = new LineWriter({ timestamps: false, microseconds: false, file: { path, append: true } });
  // Far more than a pipe holds, of a length that nothing is a multiple of.
  for (let line = 0; line < 20_000; line += 1) writer.write(`ä line of this turn ${line}.`);
  writer.close();
  const bytes = Buffer.alloc(1 << 21);
  const text = bytes.toString('utf8', 0, readSync(reader, bytes));
  closeSync(reader);
  expect(text.length).toBeGreaterThan(40_000);
  expect(text.endsWith('.\n')).toBe(true);
  for (const line of text.trimEnd().split('\n')) expect(line).toMatch(/^ä line of this turn \d+\.$/);
});

test('what waits is written when the process ends in the middle of a turn', () => {
  const program = new URL('../dist/log/line-writer.js', import.meta.url).href;
  const script = `
    const { LineWriter } = await import('${program}');
    new LineWriter({ timestamps: false, microseconds: false }).write('the last word');
    process.exit(0);
  `;
  expect(execFileSync(process.execPath, ['--input-type=module', '--eval', script]).toString()).toBe('the last word\n');
});
