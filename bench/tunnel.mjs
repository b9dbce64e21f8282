// Throughput and round-trip times of a tunnel in two network namespaces joined by veth. The contenders take turns in every round, so that a
// noisy machine is noisy for all; what counts are the ratios.
//
//   pnpm bench [--row NAME] [--rounds N] [--seconds S] [--contenders openvpn,openvpnd] [--node PATH] [--congestion NAME]
//
// A row is one line of the table in docs/performance.md; see ROWS. A contender is a program for both ends, or two as SERVER/CLIENT. The first is the
// measure of the others. Results also go to bench/results/ as JSON.

import { parseArgs } from 'node:util';
import { findTool, Lab, median, ping, tcpThroughput } from '../packages/testkit/dist/node/index.js';
import { CONGESTION_OPTION, requireCongestion } from './congestion.mjs';
import { cpuSeconds, datagramOverflows } from './process-figures.mjs';
import { knownPrograms, requirePrograms, requireSocketBuffers, requireTools, stop } from './programs.mjs';
import { writeResults } from './results.mjs';
import { startTunnel, TARGET } from './tunnel-pair.mjs';

const LOADED_INTERVAL_MS = 20;
const NAME_WIDTH = 21;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    row: { type: 'string', default: 'one-stream' },
    cipher: { type: 'string' },
    contenders: { type: 'string' },
    node: { type: 'string', default: process.execPath },
    ...CONGESTION_OPTION,
  },
});

const programs = knownPrograms(values.node);

/** What is measured, by the name of its row. */
const ROWS = {
  'one-stream': {},
  'one-stream-down': { reverse: true },
  'four-streams': { streams: 4 },
  mixed: {
    contenders: 'openvpn,openvpnd-evp/openvpn,openvpn/openvpnd-evp,openvpnd/openvpn,openvpn/openvpnd',
  },
  // Both veths cut what they are given into datagrams, as a network card without offloads makes the kernel do.
  wire: { segmentsOnWire: true },
  chacha: { cipher: 'CHACHA20-POLY1305' },
  tcp: { proto: 'tcp4' },
  ipv6: { proto: 'udp6' },
  'small-packets': { datagramBytes: 36 },
  // The same with a buffer that holds what comes while the receiver waits for a processor. That of a system's default holds 256 packets: 5 ms at the first contender's
  // rate, but one at ours, where a tick of the scheduler is 4 ms.
  'small-packets-buffered': { datagramBytes: 36, socketBufferBytes: 2 * 1024 * 1024 },
  loaded: { loaded: true },
};

const row = {
  cipher: 'AES-256-GCM',
  proto: 'udp4',
  streams: 1,
  contenders: 'openvpn,openvpnd-evp,openvpnd',
  congestion: values.congestion,
  ...ROWS[values.row],
};
if (values.cipher !== undefined) row.cipher = values.cipher;
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const names = (values.contenders ?? row.contenders).split(',');

if (ROWS[values.row] === undefined) stop(`${values.row} is not one of ${Object.keys(ROWS).join(', ')}`);
requirePrograms(names, programs);
requireTools('ping');
requireCongestion(values.congestion);
if (row.socketBufferBytes !== undefined) requireSocketBuffers(row.socketBufferBytes);
if (findTool('iperf3') === undefined && values.row !== 'one-stream') stop('this row needs iperf3');

/** What the ratio of throughput is of. */
const RATE = row.datagramBytes === undefined ? 'megabitsPerSecond' : 'packetsPerSecond';

/** One list of measurements for each contender; by place, so that one program can stand against itself. */
const measured = names.map(() => []);
for (let round = 1; round <= rounds; round++) {
  for (const [place, name] of names.entries()) {
    const result = await measure(name);
    measured[place].push(result);
    const { megabitsPerSecond, roundTripMs, cpuSecondsPerGigabyte } = result;
    const cpu = `${cpuSecondsPerGigabyte.toFixed(1)} CPU s/GB`;
    const rate =
      row.datagramBytes === undefined
        ? `${megabitsPerSecond.toFixed(0).padStart(6)} Mbit/s`
        : `${result.packetsPerSecond.toFixed(0).padStart(7)} packets/s (${result.overflowsPerSecond.toFixed(0)} more/s overflowed)`;
    process.stdout.write(
      `round ${round}/${rounds}  ${name.padEnd(NAME_WIDTH)} ${rate}  ${(roundTripMs * 1000).toFixed(0).padStart(5)} µs  ${cpu}\n`,
    );
  }
}
await report();

/** One tunnel, fresh, measured and taken down. */
async function measure(contender) {
  return Lab.use(async (lab) => {
    const { server, client, processes } = await startTunnel(lab, contender, programs, row);
    // The first replies pay for neighbour look-up and compilation.
    await ping(client, TARGET, { count: 20, interval: 0.02 });
    const echo = await ping(client, TARGET, { count: 100, interval: 0.02 });
    const cpuBefore = cpuOf(processes);
    const overflowsBefore = datagramOverflows(server.pid);
    const pings = Math.floor(((seconds - 0.5) * 1000) / LOADED_INTERVAL_MS);
    const load = throughput(client, server);
    const loaded = row.loaded
      ? await ping(client, TARGET, { count: pings, interval: LOADED_INTERVAL_MS / 1000 })
      : undefined;
    const stream = await load;
    const cpuUsed = cpuOf(processes) - cpuBefore;
    const overflows = datagramOverflows(server.pid) - overflowsBefore;
    for (const end of processes.reverse()) await end.stop();
    return {
      megabitsPerSecond: stream.megabitsPerSecond,
      retransmits: stream.retransmits,
      packetsPerSecond: stream.packetsPerSecond,
      overflowsPerSecond: overflows / seconds,
      roundTripMs: (loaded ?? echo).medianMs,
      lostPings: echo.sent - echo.received,
      cpuSecondsPerGigabyte: cpuUsed / (stream.bytes / 1e9),
    };
  });
}

/** TCP streams or datagrams between client and server, by iperf3; one stream by our own probe where that is missing. */
async function throughput(client, server) {
  if (findTool('iperf3') === undefined) return tcpThroughput(client, server, TARGET, { seconds });
  const { datagramBytes, socketBufferBytes, streams, reverse } = row;
  const listener = server.start('iperf3', ['--server', '--one-off', '--bind', TARGET, '--forceflush']);
  await listener.waitForLine(/Server listening/, 10_000);
  const args = ['--client', TARGET, '--time', String(seconds), '--json', '--parallel', String(streams)];
  if (reverse) args.push('--reverse');
  if (datagramBytes !== undefined) args.push('--udp', '--bitrate', '0', '--length', String(datagramBytes));
  // The receiver takes it over.
  if (socketBufferBytes !== undefined) args.push('--window', String(socketBufferBytes));
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

function cpuOf(processes) {
  return processes.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
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
    `\n${values.row}: medians of ${rounds} rounds, ${row.cipher}, ${row.proto}, ${row.congestion}, each against ${base.name}\n`,
  );
  for (const one of summary) {
    const ratio = (key) => `${(one[key] / base[key]).toFixed(2)}×`;
    process.stdout.write(
      `  ${one.name.padEnd(NAME_WIDTH)} throughput ${ratio(RATE)} (${one[RATE].toFixed(0)} ${RATE === 'megabitsPerSecond' ? 'Mbit/s' : 'packets/s'})   ` +
        `${row.loaded ? 'loaded ' : ''}round trip ${ratio('roundTripMs')} (${(one.roundTripMs * 1000).toFixed(0)} µs)   ` +
        `CPU per byte ${ratio('cpuSecondsPerGigabyte')} (${one.cpuSecondsPerGigabyte.toFixed(1)} s/GB)\n`,
    );
  }
  const ratios = others.map((one) => ({
    name: one.name,
    throughput: one[RATE] / base[RATE],
    roundTrip: one.roundTripMs / base.roundTripMs,
    cpuPerByte: one.cpuSecondsPerGigabyte / base.cpuSecondsPerGigabyte,
  }));
  const settings = { rounds, seconds, row: values.row, ...row };
  await writeResults(values.row, values.node, { settings, base: base.name, ratios, summary, names, measured });
}
