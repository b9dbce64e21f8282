import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('.', import.meta.url));
const packages = readdirSync(`${root}packages`);

/** Tests run on the sources: `@openvpnd/x` is packages/x/src, so that no build has to come first. */
const alias = packages.flatMap((name) => [
  { find: `@openvpnd/${name}/node`, replacement: `${root}packages/${name}/src/node/index.ts` },
  { find: `@openvpnd/${name}/conformance`, replacement: `${root}packages/${name}/conformance/index.ts` },
  { find: `@openvpnd/${name}`, replacement: `${root}packages/${name}/src/index.ts` },
]);

export default defineConfig({
  resolve: { alias },
  test: {
    reporters: ['default', './scripts/closing-line.mjs'],
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          include: ['packages/*/test/**/*.test.ts', 'apps/*/test/*.test.ts', 'apps/*/test/sim/**/*.test.ts'],
          // They work and do not wait: how long that takes tells how busy the machine is. This is for one that hangs.
          testTimeout: 60_000,
        },
      },
      {
        extends: true,
        test: {
          name: 'interop',
          include: ['apps/*/test/interop/**/*.test.ts'],
          // Each file has namespaces of its own and mostly waits; more than two would disturb what they measure.
          maxWorkers: 2,
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
