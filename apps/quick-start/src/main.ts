import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { fileURLToPath } from 'node:url';
import { addSystemDirectoriesToPath, missingForLab, missingForUserNamespace } from '@openvpnd/testkit/node';
import { runTunnel } from './run-tunnel.js';
import { formatSummary } from './summary.js';

const daemon = [process.execPath, fileURLToPath(new URL('../../openvpnd/dist/main.js', import.meta.url))];

addSystemDirectoriesToPath();
process.exitCode = process.getuid?.() === 0 ? await show() : await showInUserNamespace();

/** The whole story with root's powers over the network. Gives the exit status. */
async function show(): Promise<number> {
  const missing = missingForLab();
  if (missing !== undefined) return explain(missing);
  process.stdout.write(
    'openvpnd quick start: a server and a client on this machine, each in a network namespace of its own\n\n',
  );
  try {
    const report = await runTunnel(daemon, (step) => process.stdout.write(`  ${step}\n`));
    process.stdout.write(`\n${formatSummary(report)}\n`);
    return 0;
  } catch (error) {
    process.stderr.write(`\nopenvpnd: the quick start failed: ${(error as Error).message}\n`);
    return 1;
  }
}

/** Without root: the same program again as root of a user namespace, which may do all of this to namespaces of its own. */
async function showInUserNamespace(): Promise<number> {
  const missing = missingForUserNamespace();
  if (missing !== undefined) return explain(missing);
  const unshare = ['--user', '--map-root-user', '--net', '--mount', '--'];
  const child = spawn('unshare', [...unshare, process.execPath, fileURLToPath(import.meta.url)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(explain(`unshare cannot be run: ${error.message}`)));
    child.on('exit', (status, signal) => resolve(signal === null ? (status ?? 1) : 128 + constants.signals[signal]));
  });
}

function explain(missing: string): number {
  process.stderr.write(`openvpnd: the quick start cannot run here. ${missing}\n`);
  return 1;
}
