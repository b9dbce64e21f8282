// What can be measured, and what a machine needs for it.

import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { addSystemDirectoriesToPath, missingForLab } from '../packages/testkit/dist/node/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));

/** By name: a command that takes `--config FILE`, and lines that its configuration needs besides. Ours runs on that Node.js with those flags, from that checkout. */
export function knownPrograms(node, flags = [], checkout = root) {
  const ours = [node, ...flags, `${checkout}/apps/openvpnd/dist/main.js`];
  return {
    // Its kernel module would take the data path out of the comparison; where it is absent the line changes nothing.
    openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
    openvpnd: { command: ours, extra: [] },
    'openvpnd-evp': { command: ours, extra: ['setenv OPENVPND_DATA_PATH evp'] },
    'openvpnd-no-flows': { command: ours, extra: ['setenv OPENVPND_DATA_PATH no-flows'] },
    'openvpnd-plain': { command: ours, extra: ['setenv OPENVPND_DATA_PATH "no-tso no-gso evp"'] },
  };
}

/** Ends with a word on a contender (a program for both ends, or SERVER/CLIENT) that is unknown, if one is. */
export function requirePrograms(names, programs) {
  const unknown = names.flatMap((name) => name.split('/')).find((name) => programs[name] === undefined);
  if (unknown !== undefined) stop(`${unknown} is not one of ${Object.keys(programs).join(', ')}`);
}

/** Ends with a word on what this machine lacks, if it lacks something. */
export function requireTools(...tools) {
  addSystemDirectoriesToPath();
  const missing = missingForLab('openvpn', ...tools);
  if (missing !== undefined) stop(missing);
}

/** Ends with a word where the system grants no buffers of that size to a socket. */
export function requireSocketBuffers(bytes) {
  for (const name of ['rmem_max', 'wmem_max']) {
    if (Number(readFileSync(`/proc/sys/net/core/${name}`, 'utf8')) < bytes)
      stop(`this row needs sockets with buffers of ${bytes} bytes: sysctl net.core.${name}=${bytes}`);
  }
}

export function stop(reason) {
  process.stderr.write(`bench: ${reason}\n`);
  process.exit(1);
}
