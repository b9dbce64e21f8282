#!/usr/bin/env node
import { keepYoungGenerationSmall } from './young-generation.js';

// Before anything is loaded, which would have it grow.
keepYoungGenerationSmall();
const { runDaemon } = await import('./daemon.js');

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
