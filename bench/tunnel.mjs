// Throughput of one TCP stream and idle round-trip time through a tunnel whose two ends are the same program, in two network namespaces
// joined by veth. The contenders take turns in every round, so that a noisy machine is noisy for all; what counts are the ratios.
//
//   pnpm bench [--rounds N] [--seconds S] [--cipher NAME] [--contenders openvpn,openvpnd]
//
// The first contender is the measure of the others. Results also go to bench/results/ as JSON.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  addSystemDirectoriesToPath,
  clientConfig,
  findTool,
  Lab,
  median,
  missingForLab,
  ping,
  runToEnd,
  serverConfig,
  ThrowAwayPki,
  tcpThroughput,
  writeConfig,
} from '../packages/testkit/dist/node/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const UP_TIMEOUT_MS = 30_000;
const DEVICE = 'tun0';

/** What can be measured: a command that takes `--config FILE`, and lines that its configuration needs besides. */
const CONTENDERS = {
  // Its kernel module would take the data path out of the comparison; where it is absent the line changes nothing.
  openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
  openvpnd: { command: [process.execPath, `${root}apps/openvpnd/dist/main.js`], extra: [] },
};

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    cipher: { type: 'string', default: 'AES-256-GCM' },
    contenders: { type: 'string', default: 'openvpn,openvpnd' },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const names = values.contenders.split(',');

addSystemDirectoriesToPath();
const missing = missingForLab('openvpn', 'ping') ?? unknownContender();
if (missing !== undefined) {
  process.stderr.write(`bench: ${missing}\n`);
  process.exit(1);
}

const versionLine = (await runToEnd('openvpn', ['--version'], 10_000)).stdout.split('\n')[0];

/** One list of measurements for each contender; by place, so that one program can stand against itself. */
const measured = names.map(() => []);
for (let round = 1; round <= rounds; round++) {
  for (const [place, name] of names.entries()) {
    const result = await measure(CONTENDERS[name]);
    measured[place].push(result);
    const { megabitsPerSecond, roundTripMs, cpuSecondsPerGigabyte } = result;
    const cpu = `${cpuSecondsPerGigabyte.toFixed(1)} CPU s/GB`;
    process.stdout.write(
      `round ${round}/${rounds}  ${name.padEnd(10)} ${megabitsPerSecond.toFixed(0).padStart(6)} Mbit/s  ${(roundTripMs * 1000).toFixed(0).padStart(5)} µs  ${cpu}\n`,
    );
  }
}
report();

/** One tunnel, fresh, measured and taken down. */
async function measure({ command: [program, ...before], extra }) {
  return Lab.use(async (lab) => {
    const [server, client] = [await lab.namespace('server'), await lab.namespace('client')];
    const network = await lab.join([server, client]);
    const pki = await ThrowAwayPki.create();
    const shared = { proto: 'udp4', device: DEVICE, ciphers: [values.cipher], extra };
    const start = async (namespace, config) => {
      const file = writeConfig(lab.directory, `${namespace.name}.conf`, config);
      const running = namespace.start(program, [...before, '--config', file]);
      await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
      return running;
    };
    const serverIdentity = { ca: pki.ca, ...(await pki.issue('server', 'server')) };
    const clientIdentity = { ca: pki.ca, ...(await pki.issue('client', 'client')) };
    const ends = [
      await start(server, serverConfig({ ...shared, identity: serverIdentity })),
      await start(
        client,
        clientConfig({ ...shared, identity: clientIdentity, remote: network.addressesOf(server).ipv4 }),
      ),
    ];
    const target = '10.8.0.1';
    // The first replies pay for neighbour look-up and compilation.
    await ping(client, target, { count: 20, interval: 0.02 });
    const echo = await ping(client, target, { count: 100, interval: 0.02 });
    const cpuBefore = cpuSeconds(ends);
    const stream = await throughput(client, server, target);
    const cpuUsed = cpuSeconds(ends) - cpuBefore;
    for (const end of ends.reverse()) await end.stop();
    return {
      megabitsPerSecond: stream.megabitsPerSecond,
      retransmits: stream.retransmits,
      roundTripMs: echo.medianMs,
      lostPings: echo.sent - echo.received,
      cpuSecondsPerGigabyte: cpuUsed / (stream.bytes / 1e9),
    };
  });
}

/** One TCP stream from client to server, by iperf3, or by our own probe where that is missing. */
async function throughput(client, server, target) {
  if (findTool('iperf3') === undefined) return tcpThroughput(client, server, target, { seconds });
  const listener = server.start('iperf3', ['--server', '--one-off', '--bind', target, '--forceflush']);
  await listener.waitForLine(/Server listening/, 10_000);
  const args = ['--client', target, '--time', String(seconds), '--json'];
  const done = await client.run('iperf3', args, seconds * 1000 + 30_000);
  const { end, error } = JSON.parse(done.stdout);
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const { bytes, bits_per_second: bits } = end.sum_received;
  return { bytes, megabitsPerSecond: bits / 1e6, retransmits: end.sum_sent.retransmits };
}

/** User and system time that processes have used so far. */
function cpuSeconds(processes) {
  let ticks = 0;
  for (const { pid } of processes) {
    // Fields 14 and 15 of stat(5), counted behind the name, which may hold spaces.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ').at(-1).split(' ');
    ticks += Number(fields[11]) + Number(fields[12]);
  }
  return ticks / 100;
}

function report() {
  const summary = names.map((name, place) => ({
    name,
    megabitsPerSecond: median(measured[place].map((one) => one.megabitsPerSecond)),
    roundTripMs: median(measured[place].map((one) => one.roundTripMs)),
    cpuSecondsPerGigabyte: median(measured[place].map((one) => one.cpuSecondsPerGigabyte)),
  }));
  const [base, ...others] = summary;
  process.stdout.write(`\nmedians of ${rounds} rounds, ${values.cipher}, each against ${base.name}\n`);
  for (const one of summary) {
    const ratio = (key) => `${(one[key] / base[key]).toFixed(2)}×`;
    process.stdout.write(
      `  ${one.name.padEnd(10)} throughput ${ratio('megabitsPerSecond')} (${one.megabitsPerSecond.toFixed(0)} Mbit/s)   ` +
        `round trip ${ratio('roundTripMs')} (${(one.roundTripMs * 1000).toFixed(0)} µs)   ` +
        `CPU per byte ${ratio('cpuSecondsPerGigabyte')} (${one.cpuSecondsPerGigabyte.toFixed(1)} s/GB)\n`,
    );
  }
  const file = `${root}bench/results/tunnel-${new Date().toISOString().replaceAll(':', '-')}.json`;
  mkdirSync(`${root}bench/results`, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    kernel: release(),
    node: process.version,
    openvpn: versionLine,
  };
  const ratios = others.map((one) => ({
    name: one.name,
    throughput: one.megabitsPerSecond / base.megabitsPerSecond,
    roundTrip: one.roundTripMs / base.roundTripMs,
    cpuPerByte: one.cpuSecondsPerGigabyte / base.cpuSecondsPerGigabyte,
  }));
  const settings = { rounds, seconds, cipher: values.cipher };
  writeFileSync(
    file,
    `${JSON.stringify({ machine, settings, base: base.name, ratios, summary, names, measured }, null, 2)}\n`,
  );
  process.stdout.write(`\nwritten to ${file.slice(root.length)}\n`);
}

function unknownContender() {
  const unknown = names.find((name) => CONTENDERS[name] === undefined);
  return unknown && `${unknown} is not one of ${Object.keys(CONTENDERS).join(', ')}`;
}
