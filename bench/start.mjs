// From the start of the process to a server that listens, and to a client that speaks to its server and is connected, and the CPU time that this takes.
//
//   pnpm bench start [--rounds N] [--against DIRECTORY]
//
// OpenVPN and ours take turns, and with --against another checkout of ours, built, takes turns too.

import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import {
  clientConfig,
  Lab,
  median,
  serverConfig,
  ThrowAwayPki,
  writeConfig,
} from '../packages/testkit/dist/node/index.js';
import { cpuSeconds } from './process-figures.mjs';
import { knownPrograms, requireTools } from './programs.mjs';
import { writeResults } from './results.mjs';

const UP_TIMEOUT_MS = 30_000;
const LISTENING = /link local \(bound\)/;
const SPEAKING = /link remote: /;
const COMPLETE = /Initialization Sequence Completed/;

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, against: { type: 'string' } } });
requireTools();

const { openvpn, openvpnd } = knownPrograms(process.execPath);
const contenders = {
  openvpn,
  openvpnd,
  ...(values.against && { against: knownPrograms(process.execPath, [], resolve(values.against)).openvpnd }),
};
const measured = Object.fromEntries(Object.keys(contenders).map((name) => [name, { server: [], client: [] }]));

await Lab.use(async (lab) => {
  const [here, there] = [await lab.namespace('here'), await lab.namespace('there')];
  const { ipv4 } = (await lab.join([here, there])).addressesOf(there);
  const pki = await ThrowAwayPki.create();
  const ends = { proto: 'udp4', device: 'tun0', ciphers: ['AES-256-GCM'] };
  const server = { ...ends, identity: { ca: pki.ca, ...(await pki.issue('server', 'server')) } };
  const client = { ...ends, identity: { ca: pki.ca, ...(await pki.issue('client', 'client')) }, remote: ipv4 };
  const peer = writeConfig(lab.directory, 'peer.conf', serverConfig({ ...server, extra: openvpn.extra }));
  await there.start('openvpn', ['--config', peer]).waitForLine(COMPLETE, UP_TIMEOUT_MS);
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, { command, extra }] of Object.entries(contenders)) {
      const configs = {
        server: writeConfig(lab.directory, `${name}-server.conf`, serverConfig({ ...server, extra })),
        client: writeConfig(lab.directory, `${name}-client.conf`, clientConfig({ ...client, extra })),
      };
      measured[name].server.push(await start(here, [...command, '--config', configs.server], LISTENING));
      measured[name].client.push(await start(here, [...command, '--config', configs.client], SPEAKING));
    }
  }
});

for (const [name, roles] of Object.entries(measured)) {
  process.stdout.write(`${name.padEnd(10)} server listens after ${told(roles.server, measured.openvpn.server)}\n`);
  process.stdout.write(`${''.padEnd(10)} client speaks after  ${told(roles.client, measured.openvpn.client)}\n`);
}
await writeResults('start', process.execPath, { settings: { rounds: Number(values.rounds) }, measured });

/** One start, in milliseconds: to the line that `open` matches, and until it is complete. */
async function start(place, [program, ...parameters], open) {
  const begin = performance.now();
  const running = place.start(program, parameters);
  await running.waitForLine(open, UP_TIMEOUT_MS);
  const openMs = performance.now() - begin;
  const cpuMs = cpuSeconds(running.pid) * 1000;
  await running.waitForLine(COMPLETE, UP_TIMEOUT_MS);
  const completeMs = performance.now() - begin;
  await running.stop();
  return { openMs, cpuMs, completeMs };
}

function told(starts, base) {
  const of = (key, list = starts) => list.map((one) => one[key]);
  const ms = (times) => `${median(times).toFixed(0)} ms`;
  const least = Math.min(...of('openMs')).toFixed(0);
  const ratio = (median(of('openMs')) / median(of('openMs', base))).toFixed(1);
  return `${ms(of('openMs'))} (${ratio}×, least ${least}), CPU ${ms(of('cpuMs'))}; complete after ${ms(of('completeMs'))}`;
}
