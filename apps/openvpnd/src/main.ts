#!/usr/bin/env node
import { keepYoungGenerationSmall } from './young-generation.js';

// Before anything is loaded, which would have it grow.
keepYoungGenerationSmall();
const { runDaemon } = await import('./daemon.js');

process.exitCode = await runDaemon(process.argv.slice(2));
