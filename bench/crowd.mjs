// A server and many clients: handshakes a second, the round trip of an established client while they come, and the resident memory that an idle one costs.
//
//   pnpm bench crowd [--clients N] [--at-once M] [--rounds R] [--contenders openvpn,openvpnd]
//
// The server is stock openvpn or ours; the clients are ours, all in one process (bench/crowd-clients.mjs), but for one stock client that is there
// before and pings. The contenders take turns. Results also go to bench/results/ as JSON.

import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  addSystemDirectoriesToPath,
  clientConfig,
  Lab,
  median,
  missingForLab,
  ping,
  runToEnd,
  serverConfig,
  startPing,
  ThrowAwayPki,
  writeConfig,
} from '../packages/testkit/dist/node/index.js';
import { cpuSeconds, residentBytes } from './process-figures.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const UP_TIMEOUT_MS = 30_000;
const CROWD_TIMEOUT_MS = 300_000;
const TARGET = '10.8.0.1';
const PING_INTERVAL_SECONDS = 0.01;

const CONTENDERS = {
  openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
  openvpnd: {
    command: [process.execPath, `${root}apps/openvpnd/dist/main.js`],
    extra: [],
  },
};

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    'at-once': { type: 'string' },
    rounds: { type: 'string', default: '3' },
    contenders: { type: 'string', default: 'openvpn,openvpnd' },
  },
});
const clients = Number(values.clients);
const atOnce = Number(values['at-once'] ?? clients);
const rounds = Number(values.rounds);
const names = values.contenders.split(',');

addSystemDirectoriesToPath();
const missing =
  missingForLab('openvpn', 'ping') ??
  names.map((name) => (CONTENDERS[name] ? undefined : `no contender ${name}`)).find(Boolean);
if (missing !== undefined) {
  process.stderr.write(`bench: ${missing}\n`);
  process.exit(1);
}

const measured = names.map(() => []);
for (let round = 1; round <= rounds; round++) {
  for (const [place, name] of names.entries()) {
    const result = await measure(CONTENDERS[name]);
    measured[place].push(result);
    process.stdout.write(`round ${round}/${rounds}  ${name.padEnd(10)} ${JSON.stringify(result)}\n`);
  }
}
await report();

async function measure({ command: [program, ...before], extra }) {
  return Lab.use(async (lab) => {
    const [server, crowd, guest] = [
      await lab.namespace('server'),
      await lab.namespace('crowd'),
      await lab.namespace('guest'),
    ];
    const network = await lab.join([server, crowd]);
    const beside = await lab.join([server, guest]);
    const pki = await ThrowAwayPki.create();
    const identity = async (name, purpose) => ({ ca: pki.ca, ...(await pki.issue(name, purpose)) });
    const shared = { proto: 'udp4', ciphers: ['AES-256-GCM'] };
    const begun = performance.now();
    const running = server.start(program, [
      ...before,
      '--config',
      writeConfig(
        lab.directory,
        'server.conf',
        serverConfig({
          ...shared,
          device: 'tun0',
          network: '10.8.0.0 255.255.0.0',
          identity: await identity('server', 'server'),
          extra: [...extra, 'duplicate-cn', 'verb 1', `max-clients ${clients + 10}`, 'connect-freq-initial 100000 1'],
        }),
      ),
    ]);
    await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
    const listeningSeconds = (performance.now() - begun) / 1000;
    const guestRunning = guest.start('openvpn', [
      '--config',
      writeConfig(
        lab.directory,
        'guest.conf',
        clientConfig({
          ...shared,
          device: 'tun0',
          identity: await identity('guest', 'client'),
          remote: beside.addressesOf(server).ipv4,
          extra: ['disable-dco'],
        }),
      ),
    ]);
    await guestRunning.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
    // The first replies pay for neighbour look-up and compilation.
    await ping(guest, TARGET, { count: 50, interval: PING_INTERVAL_SECONDS });
    const quiet = await ping(guest, TARGET, { count: 200, interval: PING_INTERVAL_SECONDS });
    const residentBefore = residentBytes(running.pid);
    const cpuBefore = cpuSeconds(running.pid);
    const file = writeConfig(
      lab.directory,
      'crowd.conf',
      clientConfig({
        ...shared,
        identity: await identity('crowd', 'client'),
        remote: network.addressesOf(server).ipv4,
      }),
    );
    const pinging = startPing(guest, TARGET, { interval: PING_INTERVAL_SECONDS });
    const crowdRunning = crowd.start(process.execPath, [
      `${root}bench/crowd-clients.mjs`,
      '--config',
      file,
      '--count',
      String(clients),
      '--at-once',
      String(atOnce),
    ]);
    const line = await crowdRunning.waitForLine(/^\{.*"connected".*\}$/, CROWD_TIMEOUT_MS);
    const cpu = cpuSeconds(running.pid) - cpuBefore;
    const storm = await pinging.finish();
    const times = [...storm.timesMs].sort((a, b) => a - b);
    const connected = JSON.parse(line[0]);
    const residentAfter = residentBytes(running.pid);
    for (const one of [crowdRunning, guestRunning, running]) await one.stop();
    return {
      listeningSeconds,
      handshakesPerSecond: connected.perSecond,
      serverCpuMsPerHandshake: (cpu * 1000) / clients,
      lastMs: connected.lastMs,
      quietMs: quiet.medianMs,
      stormMs: storm.medianMs,
      storm99Ms: times[Math.floor(times.length * 0.99)],
      stormMaxMs: times.at(-1),
      stormLost: storm.sent - storm.received,
      residentKiBPerClient: (residentAfter - residentBefore) / clients / 1024,
    };
  });
}

async function report() {
  const keys = Object.keys(measured[0][0]);
  const summary = names.map((name, place) => ({
    name,
    ...Object.fromEntries(keys.map((key) => [key, median(measured[place].map((one) => one[key]))])),
  }));
  process.stdout.write(`\nmedians of ${rounds} rounds, ${clients} clients, ${atOnce} at once\n`);
  for (const key of keys) {
    const columns = summary.map((one) => `${one.name} ${one[key].toFixed(2)}`);
    process.stdout.write(
      `  ${key.padEnd(24)} ${columns.join('   ')}   ${(summary.at(-1)[key] / summary[0][key]).toFixed(2)}×\n`,
    );
  }
  const file = `${root}bench/results/crowd-${new Date().toISOString().replaceAll(':', '-')}.json`;
  mkdirSync(`${root}bench/results`, { recursive: true });
  const openvpn = (await runToEnd('openvpn', ['--version'], 10_000)).stdout.split('\n')[0];
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, kernel: release(), node: process.version, openvpn };
  writeFileSync(
    file,
    `${JSON.stringify({ machine, settings: { clients, atOnce, rounds }, summary, measured }, null, 2)}\n`,
  );
  process.stdout.write(`\nwritten to ${file.slice(root.length)}\n`);
}
