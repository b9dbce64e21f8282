// A server to which many clients come at once: handshakes a second, what one costs the server, and the round trip of an established client meanwhile.
//
//   pnpm bench crowd [--clients N] [--at-once M] [--crowd-nice 19] [--rounds R] [--contenders openvpn,openvpnd] [--node PATH]
//
// The server is stock openvpn or ours; the clients are ours, all in one process (bench/crowd-clients.mjs), but for one stock client that is there
// before and pings. The many stand for machines elsewhere, so that they go behind the server for the processor (nice 19), as they would not with --crowd-nice 0.
// The contenders take turns. Results also go to bench/results/ as JSON.

import { parseArgs } from 'node:util';
import { Lab, median, ping, startPing } from '../packages/testkit/dist/node/index.js';
import { contenders, SHARED_OPTIONS, startCrowd, startServer } from './crowd-server.mjs';
import { cpuSeconds, residentBytes, stolenSeconds } from './process-figures.mjs';
import { requireTools } from './programs.mjs';
import { writeResults } from './results.mjs';

const UP_TIMEOUT_MS = 30_000;
const TARGET = '10.8.0.1';
const PING_INTERVAL_SECONDS = 0.01;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '200' },
    'at-once': { type: 'string' },
    'crowd-nice': { type: 'string', default: '19' },
    rounds: { type: 'string', default: '3' },
    ...SHARED_OPTIONS,
  },
});
const clients = Number(values.clients);
const atOnce = Number(values['at-once'] ?? clients);
const nice = Number(values['crowd-nice']);
const rounds = Number(values.rounds);
requireTools('ping');

const all = contenders(values).map((contender) => ({ ...contender, measured: [] }));
for (let round = 1; round <= rounds; round++) {
  for (const contender of all) {
    const result = await measure(contender);
    contender.measured.push(result);
    process.stdout.write(`round ${round}/${rounds}  ${contender.name.padEnd(10)} ${JSON.stringify(result)}\n`);
  }
}
await report();

async function measure(contender) {
  return Lab.use(async (lab) => {
    const [place, crowd, guest] = [
      await lab.namespace('server'),
      await lab.namespace('crowd'),
      await lab.namespace('guest'),
    ];
    const network = await lab.join([place, crowd]);
    const beside = await lab.join([place, guest]);
    const server = await startServer(lab, place, contender, { clients });
    const guestFile = await server.clientFile('guest', beside.addressesOf(place).ipv4, {
      device: 'tun0',
      lines: ['disable-dco'],
    });
    const guestRunning = guest.start('openvpn', ['--config', guestFile]);
    await guestRunning.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
    // The first replies pay for neighbour look-up and compilation.
    await ping(guest, TARGET, { count: 50, interval: PING_INTERVAL_SECONDS });
    const quiet = await ping(guest, TARGET, { count: 200, interval: PING_INTERVAL_SECONDS });
    const residentBefore = residentBytes(server.pid);
    const cpuBefore = cpuSeconds(server.pid);
    const file = await server.clientFile('crowd', network.addressesOf(place).ipv4);
    const pinging = startPing(guest, TARGET, { interval: PING_INTERVAL_SECONDS });
    const stolenBefore = stolenSeconds();
    const { running: crowdRunning, connected } = await startCrowd(crowd, values.node, file, {
      count: clients,
      atOnce,
      nice,
    });
    const cpu = cpuSeconds(server.pid) - cpuBefore;
    const stolen = stolenSeconds() - stolenBefore;
    const storm = await pinging.finish();
    const times = [...storm.timesMs].sort((a, b) => a - b);
    const residentAfter = residentBytes(server.pid);
    for (const one of [crowdRunning, guestRunning, server.running]) await one.stop();
    return {
      listeningSeconds: server.listeningSeconds,
      handshakesPerSecond: connected.perSecond,
      serverCpuMsPerHandshake: (cpu * 1000) / clients,
      lastMs: connected.lastMs,
      quietMs: quiet.medianMs,
      stormMs: storm.medianMs,
      storm99Ms: times[Math.floor(times.length * 0.99)],
      stormMaxMs: times.at(-1),
      // With much of this no ping says anything of a server.
      stolenMs: Math.round(stolen * 1000),
      stormLost: storm.sent - storm.received,
      residentKiBPerClient: (residentAfter - residentBefore) / clients / 1024,
    };
  });
}

async function report() {
  const keys = Object.keys(all[0].measured[0]);
  const summary = all.map(({ name, measured }) => ({
    name,
    ...Object.fromEntries(keys.map((key) => [key, median(measured.map((one) => one[key]))])),
  }));
  process.stdout.write(`\nmedians of ${rounds} rounds, ${clients} clients, ${atOnce} at once\n`);
  for (const key of keys) {
    const columns = summary.map((one) => `${one.name} ${one[key].toFixed(2)}`);
    const ratio = summary.at(-1)[key] / summary[0][key];
    process.stdout.write(
      `  ${key.padEnd(24)} ${columns.join('   ')}${Number.isFinite(ratio) ? `   ${ratio.toFixed(2)}×` : ''}\n`,
    );
  }
  await writeResults('crowd', values.node, {
    settings: { clients, atOnce, nice, rounds },
    summary,
    measured: all.map(({ measured }) => measured),
  });
}
