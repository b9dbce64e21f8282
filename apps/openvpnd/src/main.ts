#!/usr/bin/env node
import { runDaemon } from './daemon.js';

process.exitCode = await runDaemon(process.argv.slice(2));
