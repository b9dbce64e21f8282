import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, it } from 'vitest';

const root = fileURLToPath(new URL('../../../', import.meta.url));
const MARK = 'PACKET_IO_IN_NAMESPACE';
/** A bound for the whole file, far above what it takes. */
const RUN_MS = 60_000;

/**
 * Runs the tests that `define` makes in a network namespace of their own: the file starts itself there (unshare) and shows one test here.
 * Without the right to make one, or without /dev/net/tun, it is skipped, or fails under OPENVPND_REQUIRE_TOOLS=1.
 */
export function describeInNamespace(file: string, define: () => void): void {
  const path = relative(root, fileURLToPath(file));
  if (process.env[MARK] === path) {
    define();
    return;
  }
  const missing = whatIsMissing();
  describe('in a network namespace', () => {
    it.skipIf(missing !== undefined && process.env.OPENVPND_REQUIRE_TOOLS !== '1')(
      path,
      { timeout: RUN_MS },
      async () => {
        if (missing !== undefined) throw new Error(missing);
        const { OPENVPND_TEST_COUNTS: _, ...env } = process.env;
        const vitest = fileURLToPath(new URL('node_modules/vitest/vitest.mjs', `file://${root}`));
        const [command, ...rest] = [...entrance(), process.execPath, vitest, 'run', '--project', 'unit', path];
        const child = spawn(command, rest, {
          cwd: root,
          env: { ...env, [MARK]: path, NO_COLOR: '1' },
          timeout: RUN_MS,
        });
        let output = '';
        for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
        const status = await new Promise((resolve) => child.once('close', resolve));
        if (status !== 0) throw new Error(`inside the namespace:\n${output}`);
      },
    );
  });
}

function entrance(): string[] {
  return process.getuid?.() === 0 ? ['unshare', '--net'] : ['unshare', '--user', '--map-root-user', '--net'];
}

function whatIsMissing(): string | undefined {
  try {
    accessSync('/dev/net/tun', constants.R_OK | constants.W_OK);
  } catch {
    return '/dev/net/tun is missing, or not for this user';
  }
  const [command, ...rest] = [...entrance(), 'ip', 'link'];
  return spawnSync(command, rest, { stdio: 'ignore' }).status === 0
    ? undefined
    : 'no network namespace (unshare, iproute2)';
}
