// The round trip of a ping through a tunnel that carries nothing else. The tunnels of all contenders stand at once and are idle but for the one whose turn it is, so that each
// round asks all of them within seconds.
//
//   pnpm bench round-trip [--rounds N] [--pings N] [--interval MS] [--contenders openvpn,openvpnd] [--node PATH]
//
// A contender is a program for both ends, or two as SERVER/CLIENT. The first is the measure of the others. Results also go to bench/results/ as JSON.

import { parseArgs } from 'node:util';
import { Lab, median, ping } from '../packages/testkit/dist/node/index.js';
import { knownPrograms, requirePrograms, requireTools } from './programs.mjs';
import { writeResults } from './results.mjs';
import { startTunnel, TARGET } from './tunnel-pair.mjs';

const NAME_WIDTH = 22;
/** Pings before the first round: they pay for neighbour look-up and compilation. */
const FIRST_PINGS = 100;

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '8' },
    pings: { type: 'string', default: '60' },
    interval: { type: 'string', default: '20' },
    contenders: { type: 'string', default: 'openvpn,openvpnd-evp,openvpnd' },
    node: { type: 'string', default: process.execPath },
  },
});
const rounds = Number(values.rounds);
const settings = { count: Number(values.pings), interval: Number(values.interval) / 1000 };
const names = values.contenders.split(',');
const programs = knownPrograms(values.node);

requireTools('ping');
requirePrograms(names, programs);

const measured = await Lab.use(async (lab) => {
  const tunnels = [];
  for (const [place, name] of names.entries()) {
    const options = { cipher: 'AES-256-GCM', proto: 'udp4', label: place };
    const { client } = await startTunnel(lab, name, programs, options);
    await ping(client, TARGET, { count: FIRST_PINGS, interval: settings.interval });
    tunnels.push({ name, client, medianMs: [] });
  }
  for (let round = 1; round <= rounds; round++) {
    for (const { client, medianMs } of tunnels) medianMs.push((await ping(client, TARGET, settings)).medianMs);
  }
  return tunnels;
});

const summary = measured.map(({ name, medianMs }) => ({
  name,
  roundTripMs: median(medianMs),
  ratio: median(medianMs) / median(measured[0].medianMs),
  rounds: medianMs,
}));
process.stdout.write(
  `idle round trip: medians of ${rounds} rounds of ${settings.count} pings, one every ${values.interval} ms\n`,
);
for (const { name, roundTripMs, ratio } of summary) {
  process.stdout.write(`  ${name.padEnd(NAME_WIDTH)} ${(roundTripMs * 1000).toFixed(0)} µs  ${ratio.toFixed(2)}×\n`);
}
await writeResults('round-trip', values.node, { settings: { rounds, ...settings }, summary });
