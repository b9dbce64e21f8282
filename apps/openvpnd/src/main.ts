#!/usr/bin/env node
// First: it prepares what the others run on.
import './early-optimisation.js';
import { runDaemon } from './daemon.js';

process.exitCode = await runDaemon(process.argv.slice(2));
