// Many clients with traffic at once, a TCP stream each: their total beside that of one client with as many streams, and with one; and the round trip of a ping of one of them meanwhile.
//
//   pnpm bench many [--clients 64] [--rounds R] [--seconds S] [--contenders openvpn,openvpnd] [--node PATH] [--congestion NAME]
//
// The server is stock openvpn or ours. The clients are ours, all in one process (bench/crowd-clients.mjs --devices), so that one client and many have the same
// processor time to share. Results also go to bench/results/ as JSON.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Lab, median, startPing } from '../packages/testkit/dist/node/index.js';
import { CONGESTION_OPTION, requireCongestion, setCongestion } from './congestion.mjs';
import { contenders, SHARED_OPTIONS, startCrowd, startServer } from './crowd-server.mjs';
import { cpuSeconds } from './process-figures.mjs';
import { requireTools } from './programs.mjs';
import { writeResults } from './results.mjs';

/** Addresses of the server's machine, one behind each client's device: with the same one behind all, a rule of routing would stand for each, and be looked at for each packet. */
const TARGETS = '10.9.0.0/16';
const PING_INTERVAL_SECONDS = 0.02;
const program = fileURLToPath(new URL('./streams.mjs', import.meta.url));
const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '4' },
    ...SHARED_OPTIONS,
    ...CONGESTION_OPTION,
  },
});
const clients = Number(values.clients);
const rounds = Number(values.rounds);
requireTools('ping');
requireCongestion(values.congestion);

const measured = contenders(values).map((contender) => ({ ...contender, alone: [], single: [], many: [] }));
for (let round = 1; round <= rounds; round++) {
  for (const one of measured) {
    one.alone.push(await measure(one, 1, 1));
    one.single.push(await measure(one, 1, clients));
    one.many.push(await measure(one, clients, clients));
    const told = [one.alone, one.single, one.many].map((list) => text(list.at(-1)));
    process.stdout.write(`round ${round}/${rounds}  ${one.name.padEnd(12)} ${told.join('   ')}\n`);
  }
}
const figure = (list, key) => median(list.map((one) => one[key]));
const summary = measured.map(({ name, alone, single, many }) => {
  const [one, streamsOfOne, all] = [alone, single, many].map((list) => ({
    megabitsPerSecond: figure(list, 'megabitsPerSecond'),
    serverCpuSecondsPerGigabyte: figure(list, 'serverCpuSecondsPerGigabyte'),
    roundTripMs: figure(list, 'roundTripMs'),
  }));
  return {
    name,
    oneClientOneStream: one,
    oneClientManyStreams: streamsOfOne,
    manyClients: all,
    ofOneStream: all.megabitsPerSecond / one.megabitsPerSecond,
    ofManyStreams: all.megabitsPerSecond / streamsOfOne.megabitsPerSecond,
    serverCpuOfManyStreams: all.serverCpuSecondsPerGigabyte / streamsOfOne.serverCpuSecondsPerGigabyte,
    fairness: figure(many, 'fairness'),
  };
});
process.stdout.write(
  `\nmedians of ${rounds} rounds: ${clients} clients with a stream each, against one client with as many streams, and with one\n`,
);
for (const one of summary) {
  const { manyClients, ofManyStreams, ofOneStream, serverCpuOfManyStreams, fairness } = one;
  process.stdout.write(
    `  ${one.name.padEnd(12)} ${manyClients.megabitsPerSecond.toFixed(0)} Mbit/s: ${ofManyStreams.toFixed(2)}× and ${ofOneStream.toFixed(2)}×, ` +
      `server CPU for a byte ${serverCpuOfManyStreams.toFixed(2)}× (${manyClients.serverCpuSecondsPerGigabyte.toFixed(2)} s/GB), least stream ${fairness.toFixed(2)} of the mean, ` +
      `round trip ${manyClients.roundTripMs.toFixed(2)} ms, of one stream ${one.oneClientOneStream.roundTripMs.toFixed(2)} ms\n`,
  );
}
await writeResults('many', values.node, {
  settings: { clients, rounds, seconds: Number(values.seconds), congestion: values.congestion },
  summary,
  measured,
});

function text({ clients: count, streams: number, megabitsPerSecond, serverCpuSecondsPerGigabyte, roundTripMs }) {
  return `${count}/${number}: ${megabitsPerSecond.toFixed(0)} Mbit/s, ${serverCpuSecondsPerGigabyte.toFixed(2)} s/GB, ${roundTripMs.toFixed(2)} ms`;
}

async function measure(contender, count, number) {
  return Lab.use(async (lab) => {
    const [place, crowd] = [await lab.namespace('server'), await lab.namespace('crowd')];
    const network = await lab.join([place, crowd]);
    for (const end of [place, crowd]) await setCongestion(end, values.congestion);
    const server = await startServer(lab, place, contender, { clients: count });
    const file = await server.clientFile('crowd', network.addressesOf(place).ipv4);
    const { connected, running } = await startCrowd(crowd, values.node, file, {
      count,
      atOnce: 16,
      more: ['--devices'],
    });
    await place.run('ip', ['route', 'add', 'local', TARGETS, 'dev', 'lo'], 10_000);
    const receiver = place.start(process.execPath, [program, '--listen']);
    await receiver.waitForLine(/listening/, 10_000);
    const to = Array.from({ length: number }, (_, index) => connected.targets[index % count]);
    const before = cpuSeconds(server.pid);
    const pinging = startPing(crowd, to[0], { interval: PING_INTERVAL_SECONDS });
    const done = await crowd.run(process.execPath, [program, '--to', to.join(), '--seconds', values.seconds], 60_000);
    if (done.status !== 0) throw new Error(done.output);
    const { bytes, seconds, each } = JSON.parse(done.stdout);
    const serverCpu = cpuSeconds(server.pid) - before;
    const { medianMs: roundTripMs } = await pinging.finish();
    for (const one of [receiver, running, server.running]) await one.stop();
    return {
      clients: count,
      streams: number,
      megabitsPerSecond: (bytes * 8) / seconds / 1e6,
      fairness: Math.min(...each) / (bytes / each.length),
      serverCpuSecondsPerGigabyte: serverCpu / (bytes / 1e9),
      roundTripMs,
    };
  });
}
