import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { root } from './fences/fences.js';
import { importsOf } from './fences/imports.js';
import type { Manifest } from './fences/manifest-violations.js';

/**
 * Each published package as a stranger gets it: packed, installed from the tarball into an empty project without network, seeing
 * only what it declares; then the example of its README is type-checked against the published types and run.
 */

interface Published {
  readonly directory: string;
  readonly manifest: Manifest & { readonly version: string; readonly bin?: Readonly<Record<string, string>> };
}

const published = [...packagesIn('packages'), ...packagesIn('apps')].filter(
  ({ manifest }) => manifest.private !== true,
);
const work = mkdtempSync(join(tmpdir(), 'openvpnd-standalone-'));
const tarballs = join(work, 'tarballs');

afterAll(() => rmSync(work, { recursive: true, force: true }));

beforeAll(async () => {
  // Under `npm test` the pinned pnpm is on PATH already; a bare vitest run has to look for it.
  const { install } = (await import(/* @vite-ignore */ `${root}scripts/workspace.mjs`)) as { install: () => void };
  install();
  for (const { directory, manifest } of published) {
    expect(existsSync(`${root}${directory}/dist`), `${directory} is not built: npm run build`).toBe(true);
    run('pnpm', ['pack', '--pack-destination', tarballs], `${root}${directory}`);
    expect(existsSync(tarballOf(manifest))).toBe(true);
  }
}, 180_000);

// A package that exports nothing yet is a place that is kept, and needs no README.
const described = published.filter(
  ({ directory }) =>
    existsSync(`${root}${directory}/README.md`) ||
    !/^export \{\};\s*$/.test(
      readFileSync(`${root}${directory}/src/${directory.startsWith('apps/') ? 'main' : 'index'}.ts`, 'utf8'),
    ),
);

describe.for(described)('$manifest.name', ({ directory, manifest }) => {
  const project = join(work, directory.replace('/', '-'));
  const examples = examplesOf(directory);

  test('its tarball holds what a user needs and nothing else', () => {
    const files = run('tar', ['tzf', tarballOf(manifest)], work).split('\n');
    expect(files).toContain('package/package.json');
    expect(files).toContain('package/LICENSE');
    expect(files).toContain('package/README.md');
    expect(files.filter((file) => /tsbuildinfo|\.test\.|\/test\/|\.tgz$/.test(file))).toEqual([]);
    const packed = JSON.parse(run('tar', ['xzOf', tarballOf(manifest), 'package/package.json'], work)) as Manifest;
    const ranges = Object.values({ ...packed.dependencies, ...packed.peerDependencies });
    expect(ranges.filter((range) => range.includes(':'))).toEqual([]);
  });

  test('installs alone, and every entry loads', () => {
    mkdirSync(project, { recursive: true });
    // What the example imports besides, its reader would install besides.
    const named = examples
      .flatMap(({ code }) => importsOf(code))
      .map(({ specifier }) => specifier.split('/').slice(0, 2).join('/'));
    const wanted = published.filter((one) => one.manifest === manifest || named.includes(one.manifest.name));
    const dependencies = Object.fromEntries(
      wanted.map((one) => [one.manifest.name, `file:${tarballOf(one.manifest)}`]),
    );
    writeFileSync(
      join(project, 'package.json'),
      JSON.stringify({ name: 'stranger', private: true, type: 'module', dependencies }),
    );
    writeFileSync(
      join(project, 'pnpm-workspace.yaml'),
      `packages: []\noverrides: ${JSON.stringify(overridesFor(manifest))}\n`,
    );
    run('pnpm', ['install', '--offline', '--ignore-scripts'], project);
    for (const entry of Object.keys(manifest.exports ?? {})) {
      const specifier = manifest.name + entry.slice(1);
      run(process.execPath, ['--input-type=module', '-e', `await import(${JSON.stringify(specifier)})`], project);
    }
  });

  test('the example of its README is correct code', () => {
    expect(examples.length, 'the README has no ts block').toBeGreaterThan(0);
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2023'],
      module: 'NodeNext',
      strict: true,
      // Faults in the published declarations must show.
      skipLibCheck: false,
      typeRoots: [`${root}node_modules/@types`],
      types: ['node'],
    };
    for (const [index, { code }] of examples.entries()) writeFileSync(join(project, `example${index}.ts`), code);
    writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['example*.ts'] }));
    run(`${root}node_modules/.bin/tsc`, ['-p', project], project);
    for (const [index, { runs }] of examples.entries()) {
      if (runs) run(process.execPath, [`example${index}.js`], project);
    }
  }, 30_000);
});

/** A command that must succeed; gives its stdout. */
function run(command: string, args: readonly string[], cwd: string): string {
  const done = spawnSync(command, args, { cwd, encoding: 'utf8', timeout: 30_000 });
  if (done.status !== 0) {
    throw new Error(
      `${command} ${args.join(' ')}: ${done.error?.message ?? `status ${done.status ?? done.signal}`}\n${done.stdout}${done.stderr}`,
    );
  }
  return done.stdout;
}

function packagesIn(area: string): Published[] {
  return readdirSync(root + area)
    .filter((name) => existsSync(`${root}${area}/${name}/package.json`))
    .map((name) => {
      const directory = `${area}/${name}`;
      return { directory, manifest: JSON.parse(readFileSync(`${root}${directory}/package.json`, 'utf8')) };
    });
}

function tarballOf({ name, version }: Published['manifest']): string {
  return join(tarballs, `${name.replace('@', '').replace('/', '-')}-${version}.tgz`);
}

/** The `ts` blocks of a README; one that is marked `ts no-run` (it needs root, or a peer) is only type-checked. */
function examplesOf(directory: string): { code: string; runs: boolean }[] {
  const file = `${root}${directory}/README.md`;
  if (!existsSync(file)) return [];
  const blocks = readFileSync(file, 'utf8').matchAll(/^```ts([^\n]*)\n([\s\S]*?)^```/gm);
  return [...blocks].map(([, mark = '', code = '']) => ({ code, runs: !mark.includes('no-run') }));
}

/** Where pnpm finds everything without asking a registry: our packages as tarballs, libraries as they lie in the workspace. */
function overridesFor(manifest: Manifest): Record<string, string> {
  const found: Record<string, string> = {};
  const visit = (directory: string, dependencies: Readonly<Record<string, string>>): void => {
    for (const name of Object.keys(dependencies)) {
      if (found[name] !== undefined) continue;
      const ours = published.find((one) => one.manifest.name === name);
      const real = realpathSync(nearestModule(directory, name));
      found[name] = `file:${ours === undefined ? real : tarballOf(ours.manifest)}`;
      const next = JSON.parse(readFileSync(join(real, 'package.json'), 'utf8')) as Manifest;
      visit(real, next.dependencies ?? {});
    }
  };
  const start = published.find((one) => one.manifest === manifest) as Published;
  visit(root + start.directory, manifest.dependencies ?? {});
  return found;
}

/** Node's own search: node_modules here, and in every directory above. */
function nearestModule(directory: string, name: string): string {
  for (let at = directory; ; at = dirname(at)) {
    const candidate = join(at, 'node_modules', name);
    if (existsSync(candidate)) return candidate;
    if (at === dirname(at)) throw new Error(`${name} is not installed for ${directory}`);
  }
}
