// What every root command needs first: the pinned pnpm, the installed dependencies, and the built packages.
// Plain JavaScript on Node's own modules, because it runs before anything is installed.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

const packageManager = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).packageManager;
const stampFile = join(root, 'node_modules', '.openvpnd-install.json');

/** Installs and builds; when one of them fails, shows its output and ends this process with its status. */
export function prepare() {
  try {
    install();
    build();
  } catch (error) {
    if (!(error instanceof StepFailure)) throw error;
    process.stderr.write(error.message);
    process.exit(error.status);
  }
}

/**
 * Installs the dependencies (with the pinned pnpm, fetched through npx) unless nothing that decides about them has changed.
 * Throws a StepFailure.
 */
export function install() {
  checkNode();
  const wanted = installFingerprint();
  const stamp = readStamp();
  if (stamp?.fingerprint === wanted && existsSync(join(stamp.pnpmDirectory, 'pnpm'))) {
    putOnPath(stamp.pnpmDirectory);
    return;
  }
  // `command -v` tells where npx keeps pnpm: the next run takes it from there without asking npx again.
  const script = 'pnpm install --frozen-lockfile --prefer-offline >&2 && command -v pnpm';
  const npx = ['-y', '--loglevel=error', '-p', packageManager, '-c', script];
  const result = step('installing dependencies', 'npx', npx);
  const pnpmDirectory = dirname(result.stdout.trim().split('\n').at(-1) ?? '');
  putOnPath(pnpmDirectory);
  mkdirSync(dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, `${JSON.stringify({ fingerprint: wanted, pnpmDirectory })}\n`);
}

/** Builds the addon and every package; what is up to date comes from turbo's cache. Throws a StepFailure. */
export function build() {
  step('building', bin('turbo'), ['run', 'build', '--output-logs=errors-only']);
}

/** A step of the preparation failed; the message holds its output and, last, one line that names it. */
export class StepFailure extends Error {
  constructor(title, command, args, { status, stdout, stderr }) {
    super(`${stdout}${stderr}\nopenvpnd: ${title} failed (${command} ${args.join(' ')})\n`);
    this.status = status;
  }
}

/** The path of a program that the workspace's dependencies brought. */
export function bin(name) {
  return join(root, 'node_modules', '.bin', name);
}

/** One step of the preparation, quiet when it succeeds. */
function step(title, command, args) {
  if (process.stderr.isTTY) process.stderr.write(`${title} …\n`);
  const result = tryStep(command, args);
  if (result.status !== 0) throw new StepFailure(title, command, args, result);
  return result;
}

/** Runs one command in the root to its end and gives its status and output. */
export function tryStep(command, args, env = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: { ...process.env, ...quietTools, ...env },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024,
  });
  if (result.error) return { status: 127, stdout: '', stderr: `${result.error.message}\n` };
  return { status: result.status ?? 1, stdout: result.stdout, stderr: result.stderr };
}

const quietTools = { TURBO_TELEMETRY_DISABLED: '1', TURBO_NO_UPDATE_NOTIFIER: '1', NO_UPDATE_NOTIFIER: '1' };

/**
 * Runs a program in the foreground as if it had been called itself: same terminal, signals are passed on, and this process
 * ends as the program ended. Never returns before that.
 */
export function become(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2', 'SIGQUIT'];
  // A terminal's Ctrl-C reaches the whole foreground group, so the child has that SIGINT already.
  const fromTerminal = process.stdin.isTTY === true;
  for (const signal of signals) {
    process.on(signal, () => {
      if (!(fromTerminal && (signal === 'SIGINT' || signal === 'SIGQUIT'))) child.kill(signal);
    });
  }
  child.on('error', (error) => {
    process.stderr.write(`openvpnd: cannot run ${command}: ${error.message}\n`);
    process.exit(127);
  });
  child.on('exit', (status, signal) => {
    process.exit(signal === null ? (status ?? 1) : 128 + constants.signals[signal]);
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  process.stderr.write(`openvpnd: needs Node.js 20.19 or later; this is ${process.versions.node}\n`);
  process.exit(1);
}

function putOnPath(directory) {
  process.env.PATH = `${directory}${delimiter}${process.env.PATH}`;
}

function readStamp() {
  try {
    return JSON.parse(readFileSync(stampFile, 'utf8'));
  } catch {
    return undefined;
  }
}

/** Everything that decides what has to be installed: the lockfile and all manifests. */
function installFingerprint() {
  const hash = createHash('sha256');
  const files = ['package.json', 'pnpm-lock.yaml', 'pnpm-workspace.yaml', '.npmrc'];
  for (const directory of ['packages', 'apps', 'examples']) {
    if (!existsSync(join(root, directory))) continue;
    for (const name of readdirSync(join(root, directory)).sort()) files.push(join(directory, name, 'package.json'));
  }
  for (const file of files) {
    if (!existsSync(join(root, file))) continue;
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  }
  return hash.update(`${process.version} ${process.arch}`).digest('hex');
}
