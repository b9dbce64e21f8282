// What the benches with many clients share: a server in a laboratory, and what its process has used.

import { fileURLToPath } from 'node:url';
import { clientConfig, serverConfig, ThrowAwayPki, writeConfig } from '../packages/testkit/dist/node/index.js';
import { knownPrograms, requirePrograms } from './programs.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const UP_TIMEOUT_MS = 30_000;
const SHARED = { proto: 'udp4', ciphers: ['AES-256-GCM'] };

/** Options of every bench with many clients: which Node.js runs ours, and with which flags of its own. */
export const SHARED_OPTIONS = {
  contenders: { type: 'string', default: 'openvpn,openvpnd' },
  node: { type: 'string', default: process.execPath },
  'node-flags': { type: 'string', default: '' },
};

/** The programs that were named, each with its name. */
export function contenders(values) {
  const programs = knownPrograms(values.node, values['node-flags'].split(' ').filter(Boolean));
  const names = values.contenders.split(',');
  requirePrograms(names, programs);
  return names.map((name) => ({ name, ...programs[name] }));
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

/** Starts many clients in one process without devices (bench/crowd-clients.mjs), with that priority; resolves when all are connected. */
export async function startCrowd(namespace, node, file, { count, atOnce = count, nice = 0, more = [] }) {
  const args = ['--config', file, '--count', String(count), '--at-once', String(atOnce), ...more];
  const running = namespace.start('nice', ['-n', String(nice), node, `${root}bench/crowd-clients.mjs`, ...args]);
  const [line] = await running.waitForLine(/^\{.*"connected".*\}$/, 300_000);
  return { running, connected: JSON.parse(line) };
}
