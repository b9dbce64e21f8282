#!/usr/bin/env node
import { createRequire } from 'node:module';
import { keepYoungGenerationSmall } from './young-generation.js';

if (!process.features.require_module) {
  process.stderr.write(`openvpnd needs Node.js 20.19, 22.13 or later; this is ${process.versions.node}\n`);
  process.exit(1);
}
// Before anything is loaded, which would have it grow.
keepYoungGenerationSmall();
// Not by import(): what loads modules behind that takes half as long again in Node.js 20 and 22, and they are most of what a start costs.
const require = createRequire(import.meta.url);
const { runDaemon }: typeof import('./daemon.js') = require('./daemon.js');

const ended = runDaemon(process.argv.slice(2));
// From here on the daemon takes the signals. One that comes when it has ended must not change the status: OpenVPN keeps its handlers to the last, too.
let isOver = false;
for (const signal of ['SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const) process.on(signal, () => {});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    // What the process may still wait for (the resolver, a reader of its output) is not worth it to who asks again.
    if (isOver) process.exit();
  });
}
process.exitCode = await ended;
isOver = true;
// Node would give the signals back to the system before the process is gone.
process.once('exit', () => process.exit());
