import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from './fences/fences.js';

const documents = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(root + path));

/** Targets of links inside the repository, without anchors. */
function linksOf(path: string): string[] {
  const text = readFileSync(root + path, 'utf8').replace(/^```[\s\S]*?^```/gm, '');
  return [...text.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target.replace(/#.*$/, ''))
    .filter((target) => target !== '' && !/^[a-z]+:/.test(target));
}

describe('the documents', () => {
  test('link to what exists', () => {
    const dead = documents.flatMap((path) =>
      linksOf(path)
        .filter((target) => !existsSync(root + posix.join(posix.dirname(path), target)))
        .map((target) => `${path} → ${target}`),
    );
    expect(dead).toEqual([]);
  });

  test('a dead link would be seen', () => {
    expect(linksOf('README.md')).toContain('docs/architecture.md');
    expect(existsSync(`${root}docs/no-such-page.md`)).toBe(false);
  });
});
