// What a packet's way to its client costs with few networks behind clients (iroute) and with many, in process: the device's side of the internal multiplexer.
//
//   pnpm bench routes [--routes 10,10000] [--rounds R]
//
// Also goes to bench/results/ as JSON.

import { parseArgs } from 'node:util';
import { InternalMux } from '../packages/internal-mux/dist/index.js';
import { FATE_DROPPED, FATE_INNER, PacketVector } from '../packages/memory/dist/index.js';
import { median } from '../packages/testkit/dist/node/index.js';
import { writeResults } from './results.mjs';

const CLIENTS = 100;
const PACKETS = 256;
const TURNS = 400;

const { values } = parseArgs({
  options: { routes: { type: 'string', default: '10,10000' }, rounds: { type: 'string', default: '15' } },
});
const counts = values.routes.split(',').map(Number);
const rounds = Number(values.rounds);
const muxes = counts.map(muxWith);
const measured = counts.map(() => []);
for (let round = 0; round < rounds; round++)
  for (const [place, mux] of muxes.entries()) measured[place].push(measure(mux, counts[place]));
const summary = counts.map((routes, place) => ({ routes, nanosecondsPerPacket: median(measured[place]) }));
for (const { routes, nanosecondsPerPacket } of summary) {
  const ratio = nanosecondsPerPacket / summary[0].nanosecondsPerPacket;
  process.stdout.write(
    `${String(routes).padStart(7)} routes  ${nanosecondsPerPacket.toFixed(0)} ns a packet  ${ratio.toFixed(2)}×\n`,
  );
}
await writeResults('routes', process.execPath, { settings: { counts, rounds }, summary, measured });

/** Networks of 256 addresses each, in turn behind each client. */
function muxWith(routes) {
  const mux = new InternalMux({ role: 'server', maxRoutesPerPeer: routes, maxRoutes: routes });
  for (let index = 0; index < routes; index++) {
    const added = mux.addRoute(index % CLIENTS, { address: network(index), length: 24 });
    if (added !== 'added') throw new Error(added);
  }
  return mux;
}

function network(index) {
  return Uint8Array.of(10, index >> 8, index & 0xff, 0);
}

/** Each packet to another network, so that no answer is remembered. */
function measure(mux, routes) {
  const vector = new PacketVector({ capacity: PACKETS, headroom: 0, packetBytes: 64, tailroom: 0 });
  const packet = new Uint8Array(28);
  packet.set([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 8, 0, 1]);
  const wanted = Array.from({ length: PACKETS }, (_, row) => network((row * 7919) % routes));
  for (const address of wanted) {
    packet.set(address, 16);
    packet[19] = 9;
    vector.appendCopy(packet);
  }
  const begun = performance.now();
  for (let turn = 0; turn < TURNS; turn++) {
    vector.fate.fill(FATE_INNER);
    mux.routeBatch(vector);
  }
  const spent = performance.now() - begun;
  if (vector.fate.subarray(0, PACKETS).includes(FATE_DROPPED)) throw new Error('a packet found no client');
  return (spent * 1e6) / (TURNS * PACKETS);
}
