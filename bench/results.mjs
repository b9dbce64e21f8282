// Where figures go, with what they were measured on.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runToEnd } from '../packages/testkit/dist/node/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Writes what was measured to bench/results, with what it was measured on. */
export async function writeResults(name, node, content) {
  const file = `${root}bench/results/${name}-${new Date().toISOString().replaceAll(':', '-')}.json`;
  mkdirSync(`${root}bench/results`, { recursive: true });
  const [openvpn] = (await runToEnd('openvpn', ['--version'], 10_000)).stdout.split('\n');
  const version = (await runToEnd(node, ['--version'], 10_000)).stdout.trim();
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    load: loadavg(),
    kernel: release(),
    node: version,
    openvpn,
  };
  writeFileSync(file, `${JSON.stringify({ machine, ...content }, null, 2)}\n`);
  process.stdout.write(`\nwritten to ${file.slice(root.length)}\n`);
}
