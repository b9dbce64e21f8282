import { spawn } from 'node:child_process';
import { withNetAdmin } from '@openvpnd/packet-io';
import { describeErrno } from './source-files.js';

/** The `ip` program did not do what it was told. `code` is stable; the message names the command and what `ip` said. */
export class IpCommandError extends Error {
  readonly code = 'ERR_IP_COMMAND';
  override readonly name = 'IpCommandError';
}

/** How long one call of `ip` may take. It works on the kernel alone; only a broken system is slower. */
const IP_TIMEOUT_MS = 10_000;
/** What is kept of the output of one call. */
const IP_OUTPUT_BYTES = 1 << 20;

/** The program `ip`: what asks it takes it as a parameter, so that it can be asked for what it would do. */
export interface IpProgram {
  /** As {@link ip}. */
  readonly run: (...args: readonly string[]) => Promise<string>;
  /** As {@link ipEach}. */
  readonly each: (commands: readonly string[]) => Promise<readonly (string | undefined)[]>;
}

/**
 * Runs iproute2's `ip` with the arguments as they are, no shell, and returns what it printed.
 *
 * @throws IpCommandError when `ip` is missing, fails or does not end in time
 */
export async function ip(...args: readonly string[]): Promise<string> {
  return await run(args, undefined);
}

/**
 * Runs several `ip` commands in one process, in order, stopping at the first that fails.
 *
 * @throws IpCommandError that names the failing command
 */
export async function ipBatch(commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  try {
    await run(['-batch', '-'], `${commands.join('\n')}\n`);
  } catch (error) {
    // iproute2 says `Command failed -:3`.
    const line = /Command failed -:(\d+)/.exec(String(error))?.[1];
    const command = line === undefined ? undefined : commands[Number(line) - 1];
    if (command === undefined) throw error;
    throw new IpCommandError(`ip ${command}: ${firstLine((error as Error).message)}`, { cause: error });
  }
}

/**
 * Runs several `ip` commands in one process, in order, whatever becomes of each. Gives what `ip` complained of, by command; undefined
 * where it did not.
 *
 * @throws IpCommandError when `ip` itself cannot be run
 */
export async function ipEach(commands: readonly string[]): Promise<readonly (string | undefined)[]> {
  const complaints: (string | undefined)[] = commands.map(() => undefined);
  if (commands.length === 0) return complaints;
  try {
    await run(['-force', '-batch', '-'], `${commands.join('\n')}\n`);
  } catch (error) {
    if (!(error instanceof IpCommandError)) throw error;
    // For each failure the complaint, then `Command failed -:3`.
    let complaint: string[] = [];
    let attributed = false;
    for (const line of error.message.split('\n')) {
      const number = /^Command failed -:(\d+)/.exec(line)?.[1];
      if (number === undefined) complaint.push(line);
      else {
        complaints[Number(number) - 1] = complaint.join(' ');
        complaint = [];
        attributed = true;
      }
    }
    if (!attributed) throw error;
  }
  return complaints;
}

/** The one of this system. */
export const SYSTEM_IP: IpProgram = { run: ip, each: ipEach };

function run(args: readonly string[], input: string | undefined): Promise<string> {
  return new Promise((resolve, reject) => {
    // A fixed environment: neither the locale nor NODE_OPTIONS nor a pushed variable reaches the child.
    const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin', LC_ALL: 'C' };
    const child = withNetAdmin(() => spawn('ip', args, { env, stdio: ['pipe', 'pipe', 'pipe'] }));
    // Not spawn's own timeout: that one keeps the process alive when there was nothing to start.
    const timer = setTimeout(() => child.kill('SIGKILL'), IP_TIMEOUT_MS);
    let output = '';
    let complaint = '';
    child.stdout.on('data', (chunk: Buffer) => {
      if (output.length < IP_OUTPUT_BYTES) output += chunk.toString('latin1');
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (complaint.length < IP_OUTPUT_BYTES) complaint += chunk.toString('latin1');
    });
    child.stdin.on('error', () => {});
    child.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(timer);
      const hint =
        error.code === 'ENOENT'
          ? 'the program `ip` is missing: install iproute2'
          : `the program \`ip\` cannot be started: ${describeErrno(error.code)}`;
      reject(new IpCommandError(hint, { cause: error }));
    });
    child.on('close', (status, signal) => {
      clearTimeout(timer);
      if (status === 0) resolve(output);
      else reject(new IpCommandError(complaint.trim() || `ip ${args.join(' ')} ended with ${status ?? signal}`));
    });
    child.stdin.end(input ?? '');
  });
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0];
}
