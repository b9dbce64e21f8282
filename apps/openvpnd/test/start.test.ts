import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, test } from 'vitest';
import { root } from './fences/fences.js';
import { importsOf } from './fences/imports.js';

/**
 * Modules are most of what a start costs: half a millisecond or so each. So it is counted here what is loaded before the daemon listens or
 * speaks, from what the sources import; a clock would only tell how busy the machine is.
 */
const ROLES = {
  server: { own: 'server/run-server.ts', foreign: 'client/run-client.ts', mostModules: 328 },
  client: { own: 'client/run-client.ts', foreign: 'server/run-server.ts', mostModules: 340 },
};
/** For when they are needed. */
const LATER = ['asn1js', 'socks', 'hash-wasm', '@openvpnd/socks-proxy', '@openvpnd/http-proxy'];

describe.for(Object.entries(ROLES))('the start of a %s', ([, { own, foreign, mostModules }]) => {
  const loaded = loadedFrom(['main.ts', own].map((name) => `${root}apps/openvpnd/src/${name}`));

  test('loads its own role alone', () => {
    expect(loaded).toContain(`apps/openvpnd/src/${own}`);
    expect(loaded).not.toContain(`apps/openvpnd/src/${foreign}`);
  });

  test('loads no library and no package that may never be needed', () => {
    expect(loaded).toContain('ipaddr.js');
    expect(loaded).toContain('packages/wire/src/index.ts');
    for (const name of LATER) {
      expect(loaded).not.toContain(name);
      expect(loaded).not.toContain(`packages/${name.replace('@openvpnd/', '')}/src/index.ts`);
    }
  });

  test('loads not many more modules than it did', () => {
    expect(loaded.length).toBeGreaterThan(200);
    expect(loaded.length).toBeLessThan(mostModules);
  });
});

test('what is loaded later is known to be so', () => {
  expect(loadedFrom([`${root}apps/openvpnd/src/link/load-proxies.ts`])).not.toContain(
    'apps/openvpnd/src/link/proxy-links.ts',
  );
  expect(loadedFrom([`${root}apps/openvpnd/src/link/proxy-links.ts`])).toContain('packages/socks-proxy/src/index.ts');
});

/** The sources, as paths from the root, and the names of the libraries that are loaded with some sources. */
function loadedFrom(entries: readonly string[]): readonly string[] {
  const found = new Set<string>();
  const visit = (file: string): void => {
    const place = relative(root, file);
    if (found.has(place)) return;
    found.add(place);
    for (const { specifier, typeOnly, dynamic } of importsOf(readFileSync(file, 'utf8'))) {
      if (typeOnly || dynamic || specifier.startsWith('node:')) continue;
      const source = sourceOf(specifier, file);
      if (source === undefined) found.add(specifier);
      else visit(source);
    }
  };
  for (const entry of entries) visit(entry);
  return [...found];
}

function sourceOf(specifier: string, importer: string): string | undefined {
  if (specifier.startsWith('.')) return join(dirname(importer), specifier.replace(/\.js$/, '.ts'));
  const [, name, entry = ''] = /^@openvpnd\/([^/]+)(\/.+)?$/.exec(specifier) ?? [];
  if (name === undefined) return undefined;
  const source = `${root}packages/${name}/src${entry}/index.ts`;
  expect(existsSync(source)).toBe(true);
  return source;
}
