import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fences, root } from './fences/fences.js';
import { type Manifest, manifestViolations } from './fences/manifest-violations.js';
import { sourceViolations } from './fences/source-violations.js';

/** Each fixture is a file that must not get in: where it would stand, which sentence refuses it, and whether the linter refuses it too. */
const fixtures = readdirSync(new URL('./fixtures/fences', import.meta.url)).map((file) => {
  const text = readFileSync(new URL(`./fixtures/fences/${file}`, import.meta.url), 'utf8');
  const [place = '', refusal = '', ...rest] = text.split('\n');
  const linter = rest[0]?.startsWith('// linter: ') ? rest.shift()!.slice('// linter: '.length) : undefined;
  return {
    file,
    path: place.slice('// place: '.length),
    refusal: refusal.slice('// refusal: '.length),
    linter,
    text: rest.join('\n'),
  };
});

const sources = [...sourcesUnder('packages'), ...sourcesUnder('apps')];

describe('the sources', () => {
  test('stay inside the fences', () => {
    expect(sources.length).toBeGreaterThan(20);
    const violations = sources.flatMap((path) => sourceViolations(path, readFileSync(root + path, 'utf8'), fences));
    expect(violations).toEqual([]);
  });

  test('Socket Rework: "Remove http-proxy and socks proxy from main code path"', () => {
    // What a proxy adds to a packet is a number that keygen's sums have to know.
    const main = sources.filter((path) => /^packages\/(?!http-proxy|socks-proxy|config|testkit|keygen)/.test(path));
    expect(main.length).toBeGreaterThan(20);
    expect(main.filter((path) => /prox(y|ies)/i.test(readFileSync(root + path, 'utf8')))).toEqual([]);
  });

  test.for(fixtures.filter(({ path }) => path.endsWith('.ts')))(
    '$file is refused: $refusal',
    ({ path, refusal, text }) => {
      const violations = sourceViolations(path, text, fences);
      expect(violations).toHaveLength(1);
      expect(violations[0]).toContain(refusal);
    },
  );
});

describe('the manifests', () => {
  test('every package and app has a fence, and every fence a package', () => {
    expect(Object.keys(fences.packages).sort()).toEqual(directoriesIn('packages'));
    expect(Object.keys(fences.apps).sort()).toEqual(directoriesIn('apps'));
  });

  test.for(Object.entries(fences.packages))('%s declares what its fence allows', ([name, fence]) => {
    const manifest = readJson(`packages/${name}/package.json`) as Manifest;
    const project = readJson(`packages/${name}/tsconfig.json`) as object;
    expect(manifestViolations(name, fence, manifest, project)).toEqual([]);
  });

  test.for(fixtures.filter(({ path }) => path.endsWith('package.json')))(
    '$file is refused: $refusal',
    ({ path, refusal, text }) => {
      const name = path.split('/')[1] as string;
      const violations = manifestViolations(
        name,
        fences.packages[name]!,
        JSON.parse(text),
        readJson(`packages/${name}/tsconfig.json`),
      );
      expect(violations.join('\n')).toContain(refusal);
    },
  );

  test('no imports go round in a circle', () => {
    const visit = (name: string, trail: readonly string[]): void => {
      expect(trail).not.toContain(name);
      const { mayImport, typesOnly = {} } = fences.packages[name]!;
      for (const other of [...Object.keys(mayImport), ...Object.keys(typesOnly)]) visit(other, [...trail, name]);
    };
    for (const name of Object.keys(fences.packages)) visit(name, []);
  });
});

describe('the package manager', () => {
  test('resolves what a package declares and nothing else', () => {
    expect(existsSync(`${root}packages/reliability/node_modules/@openvpnd/sans-io`)).toBe(true);
    expect(existsSync(`${root}packages/reliability/node_modules/@openvpnd/wire`)).toBe(false);
    expect(existsSync(`${root}node_modules/@openvpnd`)).toBe(false);
  });

  test('lets nobody past the listed entries', () => {
    const { resolve } = createRequire(`${root}packages/reliability/package.json`);
    expect(() => resolve('@openvpnd/sans-io/src/secret.ts')).toThrow(/not defined by "exports"/);
    expect(() => resolve('@openvpnd/sans-io/package.json')).toThrow(/not defined by "exports"/);
  });
});

describe('the linter', () => {
  let directory: string;
  let reported: { location: { path: string }; category: string }[];

  beforeAll(() => {
    // The same rules on a tree that holds nothing but the fixtures.
    directory = mkdtempSync(join(tmpdir(), 'openvpnd-fences-'));
    const { $schema: _, ...biome } = readJson('biome.json') as Record<string, unknown>;
    writeFileSync(join(directory, 'biome.json'), JSON.stringify({ ...biome, vcs: { enabled: false } }));
    for (const { path, text, linter } of fixtures) {
      if (linter === undefined) continue;
      mkdirSync(dirname(join(directory, path)), { recursive: true });
      writeFileSync(join(directory, path), text);
    }
    // A circle takes two files, so it cannot be a fixture.
    mkdirSync(join(directory, 'packages/wire/src'), { recursive: true });
    writeFileSync(join(directory, 'packages/wire/src/one.ts'), "export { b as a } from './two.js';\n");
    writeFileSync(join(directory, 'packages/wire/src/two.ts'), "export { a as b } from './one.js';\n");
    const done = spawnSync(
      `${root}node_modules/.bin/biome`,
      ['lint', '--reporter=json', '--max-diagnostics=none', '.'],
      {
        cwd: directory,
        encoding: 'utf8',
      },
    );
    reported = JSON.parse(done.stdout).diagnostics;
  });
  afterAll(() => rmSync(directory, { recursive: true, force: true }));

  const rulesAgainst = (path: string): string[] =>
    reported.filter(({ location }) => location.path === path).map(({ category }) => category);

  test.for(fixtures.filter(({ linter }) => linter !== undefined))('refuses $file', ({ path, linter }) => {
    expect(rulesAgainst(path)).toContain(`lint/${linter}`);
  });

  test('refuses files that import each other in a circle', () => {
    expect(rulesAgainst('packages/wire/src/one.ts')).toContain('lint/suspicious/noImportCycles');
  });

  test('has the rules that follow from fences.json', async () => {
    const { biomeFences } = (await import(/* @vite-ignore */ `${root}scripts/biome-fences.mjs`)) as {
      biomeFences: (from: typeof fences) => unknown[];
    };
    const { overrides } = readJson('biome.json') as { overrides: { linter?: { rules?: { style?: object } } }[] };
    const held = overrides.filter((one) => 'noRestrictedImports' in (one.linter?.rules?.style ?? {}));
    expect(held, 'run: node scripts/write-biome-fences.mjs').toEqual(biomeFences(fences));
  });
});

describe('the type checker', () => {
  test('knows no host in a pure package', () => {
    const directory = mkdtempSync(join(tmpdir(), 'openvpnd-fences-'));
    try {
      const hosts = ['setTimeout', 'setImmediate', 'process', 'Buffer', 'console', 'performance', 'crypto', 'window'];
      writeFileSync(
        join(directory, 'planted.ts'),
        hosts.map((host) => `export const ${host}_: unknown = ${host};\n`).join(''),
      );
      const config = {
        extends: `${root}packages/reliability/tsconfig.json`,
        compilerOptions: { noEmit: true, composite: false, incremental: false, tsBuildInfoFile: null, rootDir: '/' },
        files: ['planted.ts', `${root}types/text-codec.d.ts`],
        include: [],
        references: [],
      };
      writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify(config));
      const done = spawnSync(`${root}node_modules/.bin/tsc`, ['-p', directory], { encoding: 'utf8' });
      for (const host of hosts) expect(done.stdout).toMatch(new RegExp(`error TS\\d+: Cannot find name '${host}'`));
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

/** All TypeScript sources that are tracked or new, as git sees them; never what a build made. */
function sourcesUnder(area: string): string[] {
  const args = [
    'ls-files',
    '--cached',
    '--others',
    '--exclude-standard',
    '--',
    `${area}/*/src/*.ts`,
    `${area}/*/src/**/*.ts`,
  ];
  const listed = execFileSync('git', args, { cwd: root, encoding: 'utf8' });
  return [...new Set(listed.split('\n'))].filter((path) => path !== '' && existsSync(root + path));
}

function directoriesIn(area: string): string[] {
  return readdirSync(root + area)
    .filter((name) => existsSync(`${root}${area}/${name}/package.json`))
    .sort();
}

function readJson(path: string): object {
  return JSON.parse(readFileSync(root + path, 'utf8'));
}
