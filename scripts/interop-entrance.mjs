// Interoperability tests make network namespaces and TUN devices. Who is not root gets both in a user namespace of its own.

import { spawnSync } from 'node:child_process';

/** The command that runs node where namespaces can be made: node itself, or node behind `unshare`. */
export function interopEntrance() {
  if (process.getuid?.() === 0) return [process.execPath];
  const unshare = ['unshare', '--user', '--map-root-user', '--net', '--mount'];
  const possible = spawnSync(unshare[0], [...unshare.slice(1), 'true'], { stdio: 'ignore' }).status === 0;
  // Without it the tests start all the same: each tells why it skips, or fails under OPENVPND_REQUIRE_TOOLS=1.
  return possible ? [...unshare, process.execPath] : [process.execPath];
}
