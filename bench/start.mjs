// From the start of the process to a server that listens, and to one that is complete.
//
//   pnpm bench start [--rounds N]
//
// The contenders take turns; the first is the measure of the other.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  addSystemDirectoriesToPath,
  Lab,
  median,
  missingForLab,
  serverConfig,
  ThrowAwayPki,
  writeConfig,
} from '../packages/testkit/dist/node/index.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const UP_TIMEOUT_MS = 30_000;
const CONTENDERS = {
  openvpn: { command: ['openvpn'], extra: ['disable-dco'] },
  openvpnd: { command: [process.execPath, `${root}apps/openvpnd/dist/main.js`], extra: [] },
};

const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' } } });
addSystemDirectoriesToPath();
const missing = missingForLab('openvpn');
if (missing !== undefined) {
  process.stderr.write(`bench: ${missing}\n`);
  process.exit(1);
}

const measured = Object.fromEntries(Object.keys(CONTENDERS).map((name) => [name, { listening: [], complete: [] }]));
await Lab.use(async (lab) => {
  const place = await lab.namespace('server');
  const pki = await ThrowAwayPki.create();
  const identity = { ca: pki.ca, ...(await pki.issue('server', 'server')) };
  for (let round = 0; round < Number(values.rounds); round++) {
    for (const [name, { command, extra }] of Object.entries(CONTENDERS)) {
      const config = serverConfig({ proto: 'udp4', device: 'tun0', ciphers: ['AES-256-GCM'], extra, identity });
      const file = writeConfig(lab.directory, `${name}.conf`, config);
      const start = performance.now();
      const running = place.start(command[0], [...command.slice(1), '--config', file]);
      await running.waitForLine(/link local \(bound\)/, UP_TIMEOUT_MS);
      measured[name].listening.push(performance.now() - start);
      await running.waitForLine(/Initialization Sequence Completed/, UP_TIMEOUT_MS);
      measured[name].complete.push(performance.now() - start);
      await running.stop();
    }
  }
});
for (const [name, { listening, complete }] of Object.entries(measured)) {
  const text = (times) => `${median(times).toFixed(0)} ms (least ${Math.min(...times).toFixed(0)})`;
  process.stdout.write(`${name.padEnd(10)} listening after ${text(listening)}, complete after ${text(complete)}\n`);
}
