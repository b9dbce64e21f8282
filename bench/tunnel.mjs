// Throughput and round-trip times of a tunnel in two network namespaces joined by veth. The contenders take turns in every round, so that a
// noisy machine is noisy for all; what counts are the ratios.
//
//   pnpm bench [--row NAME] [--rounds N] [--seconds S] [--contenders openvpn,openvpnd] [--node PATH]
//
// A row is one line of the table in docs/performance.md; see ROWS. A contender is a program for both ends, or two as SERVER/CLIENT. The first is the
// measure of the others. Results also go to bench/results/ as JSON.

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
const LOADED_INTERVAL_MS = 20;
const NAME_WIDTH = 17;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    row: { type: 'string', default: 'one-stream' },
    cipher: { type: 'string' },
    contenders: { type: 'string' },
    node: { type: 'string', default: process.execPath },
  },
});

const OURS = [values.node, `${root}apps/openvpnd/dist/main.js`];

/** What can be measured: a command that takes `--config FILE`, and lines that its configuration needs besides. */
const CONTENDERS = {
  // Its kernel module would take the data path out of the comparison; where it is absent the line changes nothing.
  openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
  openvpnd: { command: OURS, extra: [] },
  'openvpnd-evp': { command: OURS, extra: ['setenv OPENVPND_DATA_PATH evp'] },
  'openvpnd-plain': { command: OURS, extra: ['setenv OPENVPND_DATA_PATH "no-tso no-gso evp"'] },
};

/** What is measured, by the name of its row. */
const ROWS = {
  'one-stream': {},
  'one-stream-down': { reverse: true },
  'four-streams': { streams: 4 },
  mixed: { contenders: 'openvpn,openvpnd/openvpn,openvpn/openvpnd' },
  // Both veths cut what they are given into datagrams, as a network card without offloads makes the kernel do.
  wire: { segmentsOnWire: true },
  chacha: { cipher: 'CHACHA20-POLY1305' },
  tcp: { proto: 'tcp4' },
  ipv6: { proto: 'udp6' },
  'small-packets': { datagramBytes: 36 },
  loaded: { loaded: true },
};

const row = {
  cipher: 'AES-256-GCM',
  proto: 'udp4',
  streams: 1,
  contenders: 'openvpn,openvpnd-evp,openvpnd',
  ...ROWS[values.row],
};
if (values.cipher !== undefined) row.cipher = values.cipher;
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const names = (values.contenders ?? row.contenders).split(',');

addSystemDirectoriesToPath();
const missing =
  missingForLab('openvpn', 'ping') ??
  (ROWS[values.row] === undefined ? `${values.row} is not one of ${Object.keys(ROWS).join(', ')}` : undefined) ??
  unknownContender() ??
  (findTool('iperf3') === undefined && values.row !== 'one-stream' ? 'this row needs iperf3' : undefined);
if (missing !== undefined) {
  process.stderr.write(`bench: ${missing}\n`);
  process.exit(1);
}

const versionLine = (await runToEnd('openvpn', ['--version'], 10_000)).stdout.split('\n')[0];

/** What the ratio of throughput is of. */
const RATE = row.datagramBytes === undefined ? 'megabitsPerSecond' : 'packetsPerSecond';

/** One list of measurements for each contender; by place, so that one program can stand against itself. */
const measured = names.map(() => []);
for (let round = 1; round <= rounds; round++) {
  for (const [place, name] of names.entries()) {
    const [server, client = server] = name.split('/');
    const result = await measure(CONTENDERS[server], CONTENDERS[client]);
    measured[place].push(result);
    const { megabitsPerSecond, roundTripMs, cpuSecondsPerGigabyte } = result;
    const cpu = `${cpuSecondsPerGigabyte.toFixed(1)} CPU s/GB`;
    const rate =
      row.datagramBytes === undefined
        ? `${megabitsPerSecond.toFixed(0).padStart(6)} Mbit/s`
        : `${result.packetsPerSecond.toFixed(0).padStart(7)} packets/s`;
    process.stdout.write(
      `round ${round}/${rounds}  ${name.padEnd(NAME_WIDTH)} ${rate}  ${(roundTripMs * 1000).toFixed(0).padStart(5)} µs  ${cpu}\n`,
    );
  }
}
await report();

/** One tunnel, fresh, measured and taken down. */
async function measure(serverProgram, clientProgram) {
  return Lab.use(async (lab) => {
    const [server, client] = [await lab.namespace('server'), await lab.namespace('client')];
    const network = await lab.join([server, client]);
    if (row.segmentsOnWire) {
      const off = ['tx-udp-segmentation', 'off', 'tso', 'off', 'gso', 'off'];
      for (const end of [server, client])
        await end.run('ethtool', ['-K', network.addressesOf(end).device, ...off], 10_000);
    }
    const pki = await ThrowAwayPki.create();
    const shared = { proto: row.proto, device: DEVICE, ciphers: [row.cipher] };
    const start = async (namespace, { command: [program, ...before] }, config) => {
      const file = writeConfig(lab.directory, `${namespace.name}.conf`, config);
      const running = namespace.start(program, [...before, '--config', file]);
      await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
      return running;
    };
    const addresses = network.addressesOf(server);
    const remote = row.proto.endsWith('6') ? addresses.ipv6 : addresses.ipv4;
    const serverIdentity = { ca: pki.ca, ...(await pki.issue('server', 'server')) };
    const clientIdentity = { ca: pki.ca, ...(await pki.issue('client', 'client')) };
    const ends = [
      await start(
        server,
        serverProgram,
        serverConfig({ ...shared, extra: serverProgram.extra, identity: serverIdentity }),
      ),
      await start(
        client,
        clientProgram,
        clientConfig({ ...shared, extra: clientProgram.extra, identity: clientIdentity, remote }),
      ),
    ];
    const target = '10.8.0.1';
    // The first replies pay for neighbour look-up and compilation.
    await ping(client, target, { count: 20, interval: 0.02 });
    const echo = await ping(client, target, { count: 100, interval: 0.02 });
    const cpuBefore = cpuSeconds(ends);
    const pings = Math.floor(((seconds - 0.5) * 1000) / LOADED_INTERVAL_MS);
    const load = throughput(client, server, target);
    const loaded = row.loaded
      ? await ping(client, target, { count: pings, interval: LOADED_INTERVAL_MS / 1000 })
      : undefined;
    const stream = await load;
    const cpuUsed = cpuSeconds(ends) - cpuBefore;
    for (const end of ends.reverse()) await end.stop();
    return {
      megabitsPerSecond: stream.megabitsPerSecond,
      retransmits: stream.retransmits,
      packetsPerSecond: stream.packetsPerSecond,
      roundTripMs: (loaded ?? echo).medianMs,
      lostPings: echo.sent - echo.received,
      cpuSecondsPerGigabyte: cpuUsed / (stream.bytes / 1e9),
    };
  });
}

/** TCP streams or datagrams between client and server, by iperf3; one stream by our own probe where that is missing. */
async function throughput(client, server, target) {
  if (findTool('iperf3') === undefined) return tcpThroughput(client, server, target, { seconds });
  const { datagramBytes, streams, reverse } = row;
  const listener = server.start('iperf3', ['--server', '--one-off', '--bind', target, '--forceflush']);
  await listener.waitForLine(/Server listening/, 10_000);
  const args = ['--client', target, '--time', String(seconds), '--json', '--parallel', String(streams)];
  if (reverse) args.push('--reverse');
  if (datagramBytes !== undefined) args.push('--udp', '--bitrate', '0', '--length', String(datagramBytes));
  const done = await client.run('iperf3', args, seconds * 1000 + 30_000);
  const { end, error } = JSON.parse(done.stdout);
  if (error !== undefined) throw new Error(`iperf3: ${error}`);
  const { bytes, bits_per_second: bits, packets = 0, lost_packets: lost = 0 } = end.sum_received;
  return {
    bytes,
    megabitsPerSecond: bits / 1e6,
    packetsPerSecond: (packets - lost) / seconds,
    retransmits: end.sum_sent?.retransmits,
  };
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

async function report() {
  const summary = names.map((name, place) => ({
    name,
    packetsPerSecond: median(measured[place].map((one) => one.packetsPerSecond ?? 0)),
    megabitsPerSecond: median(measured[place].map((one) => one.megabitsPerSecond)),
    roundTripMs: median(measured[place].map((one) => one.roundTripMs)),
    cpuSecondsPerGigabyte: median(measured[place].map((one) => one.cpuSecondsPerGigabyte)),
  }));
  const [base, ...others] = summary;
  process.stdout.write(
    `\n${values.row}: medians of ${rounds} rounds, ${row.cipher}, ${row.proto}, each against ${base.name}\n`,
  );
  for (const one of summary) {
    const ratio = (key) => `${(one[key] / base[key]).toFixed(2)}×`;
    process.stdout.write(
      `  ${one.name.padEnd(NAME_WIDTH)} throughput ${ratio(RATE)} (${one[RATE].toFixed(0)} ${RATE === 'megabitsPerSecond' ? 'Mbit/s' : 'packets/s'})   ` +
        `${row.loaded ? 'loaded ' : ''}round trip ${ratio('roundTripMs')} (${(one.roundTripMs * 1000).toFixed(0)} µs)   ` +
        `CPU per byte ${ratio('cpuSecondsPerGigabyte')} (${one.cpuSecondsPerGigabyte.toFixed(1)} s/GB)\n`,
    );
  }
  const file = `${root}bench/results/${values.row}-${new Date().toISOString().replaceAll(':', '-')}.json`;
  mkdirSync(`${root}bench/results`, { recursive: true });
  const machine = {
    cpu: cpus()[0]?.model,
    cores: cpus().length,
    kernel: release(),
    node: (await runToEnd(values.node, ['--version'], 10_000)).stdout.trim(),
    openvpn: versionLine,
  };
  const ratios = others.map((one) => ({
    name: one.name,
    throughput: one[RATE] / base[RATE],
    roundTrip: one.roundTripMs / base.roundTripMs,
    cpuPerByte: one.cpuSecondsPerGigabyte / base.cpuSecondsPerGigabyte,
  }));
  const settings = { rounds, seconds, row: values.row, ...row };
  writeFileSync(
    file,
    `${JSON.stringify({ machine, settings, base: base.name, ratios, summary, names, measured }, null, 2)}\n`,
  );
  process.stdout.write(`\nwritten to ${file.slice(root.length)}\n`);
}

function unknownContender() {
  const unknown = names.flatMap((name) => name.split('/')).find((name) => CONTENDERS[name] === undefined);
  return unknown && `${unknown} is not one of ${Object.keys(CONTENDERS).join(', ')}`;
}
