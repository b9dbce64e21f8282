// What an idle client costs a server in resident memory.
//
//   pnpm bench idle [--clients 1000,2000] [--settle SECONDS] [--contenders openvpn,openvpnd] [--node PATH] [--node-flags FLAGS]
//
// Clients of ours come in numbers (bench/crowd-clients.mjs) and then say nothing but their pings. The memory of the server is read when it has
// settled; `each` is all that it has grown by, start included, for each client, `slope` what the clients of the last step cost. Results also go to
// bench/results/ as JSON.

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Lab } from '../packages/testkit/dist/node/index.js';
import { contenders, SHARED_OPTIONS, startCrowd, startServer } from './crowd-server.mjs';
import { cpuSeconds, residentBytes } from './process-figures.mjs';
import { requireTools } from './programs.mjs';
import { writeResults } from './results.mjs';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '1000,2000' },
    settle: { type: 'string', default: '20' },
    'at-once': { type: 'string', default: '100' },
    ...SHARED_OPTIONS,
  },
});
const steps = values.clients.split(',').map(Number);
const settleMs = Number(values.settle) * 1000;
requireTools();

const measured = [];
for (const contender of contenders(values)) measured.push({ name: contender.name, steps: await measure(contender) });
await writeResults('idle', values.node, { settings: { steps, settleMs }, measured });

async function measure(contender) {
  return Lab.use(async (lab) => {
    const [place, crowd] = [await lab.namespace('server'), await lab.namespace('crowd')];
    const network = await lab.join([place, crowd]);
    const most = Math.max(...steps);
    const server = await startServer(lab, place, contender, { clients: most });
    const file = await server.clientFile('crowd', network.addressesOf(place).ipv4);
    await sleep(settleMs / 4);
    const found = [{ clients: 0, resident: residentBytes(server.pid) }];
    for (const clients of steps) {
      const before = found.at(-1);
      await startCrowd(crowd, values.node, file, {
        count: clients - before.clients,
        atOnce: Number(values['at-once']),
      });
      await sleep(settleMs);
      const cpu = cpuSeconds(server.pid);
      await sleep(2000);
      const resident = residentBytes(server.pid);
      const one = {
        clients,
        resident,
        eachKiB: (resident - found[0].resident) / clients / 1024,
        slopeKiB: (resident - before.resident) / (clients - before.clients) / 1024,
        idleCpuPercent: ((cpuSeconds(server.pid) - cpu) / 2) * 100,
      };
      found.push(one);
      process.stdout.write(
        `${contender.name.padEnd(12)} ${String(clients).padStart(6)} clients  ${(resident / 2 ** 20).toFixed(0).padStart(5)} MiB  each ${one.eachKiB.toFixed(1)} KiB  slope ${one.slopeKiB.toFixed(1)} KiB  CPU ${one.idleCpuPercent.toFixed(1)} %\n`,
      );
    }
    return found;
  });
}
