// What the benches with many clients share: a server in a laboratory, and what its process has used.

import { fileURLToPath } from 'node:url';
import {
  addSystemDirectoriesToPath,
  clientConfig,
  missingForLab,
  serverConfig,
  ThrowAwayPki,
  writeConfig,
} from '../packages/testkit/dist/node/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const UP_TIMEOUT_MS = 30_000;
const SHARED = { proto: 'udp4', ciphers: ['AES-256-GCM'] };

/** Options of every bench with many clients: which Node.js runs ours, and with which flags of its own. */
export const SHARED_OPTIONS = {
  contenders: { type: 'string', default: 'openvpn,openvpnd' },
  node: { type: 'string', default: process.execPath },
  'node-flags': { type: 'string', default: '' },
};

/** What can be measured, by name: a command that takes `--config FILE`, and lines that its configuration needs besides. */
export function contenders(values) {
  const flags = values['node-flags'].split(' ').filter(Boolean);
  const ours = [values.node, ...flags, `${root}apps/openvpnd/dist/main.js`];
  const known = {
    openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
    openvpnd: { command: ours, extra: [] },
    'openvpnd-evp': { command: ours, extra: ['setenv OPENVPND_DATA_PATH evp'] },
  };
  return values.contenders.split(',').map((name) => {
    if (known[name] === undefined) stop(`${name} is not one of ${Object.keys(known).join(', ')}`);
    return { name, ...known[name] };
  });
}

/** Ends with a word on what this machine lacks, if it lacks something. */
export function requireTools(...tools) {
  addSystemDirectoriesToPath();
  const missing = missingForLab('openvpn', ...tools);
  if (missing !== undefined) stop(missing);
}

function stop(reason) {
  process.stderr.write(`bench: ${reason}\n`);
  process.exit(1);
}

/** A server that is up in its namespace, and what its clients need. */
export async function startServer(lab, namespace, { command: [program, ...before], extra }, { clients, lines = [] }) {
  const pki = await ThrowAwayPki.create();
  const identity = async (name, purpose) => ({ ca: pki.ca, ...(await pki.issue(name, purpose)) });
  const config = serverConfig({
    ...SHARED,
    device: 'tun0',
    network: '10.8.0.0 255.255.0.0',
    identity: await identity('server', 'server'),
    extra: [
      ...extra,
      'duplicate-cn',
      'verb 1',
      `max-clients ${clients + 10}`,
      'connect-freq-initial 100000 1',
      ...lines,
    ],
  });
  const begun = performance.now();
  const running = namespace.start(program, [
    ...before,
    '--config',
    writeConfig(lab.directory, `${namespace.name}.conf`, config),
  ]);
  await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
  return {
    running,
    pid: running.pid,
    listeningSeconds: (performance.now() - begun) / 1000,
    /** A configuration for a client of this server; gives its path. */
    async clientFile(name, remote, { device, lines: more = [] } = {}) {
      const text = clientConfig({
        ...SHARED,
        ...(device && { device }),
        identity: await identity(name, 'client'),
        remote,
        extra: more,
      });
      return writeConfig(lab.directory, `${name}.conf`, text);
    },
  };
}

/** Starts many clients in one process without devices (bench/crowd-clients.mjs); resolves when all are connected. */
export async function startCrowd(namespace, node, file, count, atOnce = count, more = []) {
  const args = ['--config', file, '--count', String(count), '--at-once', String(atOnce), ...more];
  const running = namespace.start(node, [`${root}bench/crowd-clients.mjs`, ...args]);
  const [line] = await running.waitForLine(/^\{.*"connected".*\}$/, 300_000);
  return { running, connected: JSON.parse(line) };
}
