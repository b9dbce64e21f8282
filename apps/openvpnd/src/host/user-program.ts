import { spawn } from 'node:child_process';
import { tokeniseLine } from '@openvpnd/config';

/** How a program ended, or why it did not come to that, in OpenVPN's words. */
export type ProgramEnd =
  | { readonly type: 'exit'; readonly status: number }
  | { readonly type: 'failed'; readonly reason: string };

/** The least script-security with which programs are run that the user named. */
const USER_PROGRAMS = 2;
/** The least with which a password may stand in their environment. */
const PASSWORDS_IN_ENVIRONMENT = 3;

/** Whether --script-security lets a program see passwords in its environment. */
export function passwordMayBeInEnvironment(scriptSecurity: number): boolean {
  return scriptSecurity >= PASSWORDS_IN_ENVIRONMENT;
}

/**
 * Runs a program that an option names with its arguments: directly, without a shell, with nothing in its environment but `env`, and
 * killed, with all that it has started, when its time is over. What it prints goes where our own output goes. Never rejects. OpenVPN: openvpn_run_script().
 *
 * @param command as written in the configuration, with its arguments
 * @param more arguments that follow those
 */
export function runUserProgram(
  command: string,
  more: readonly string[],
  env: Readonly<Record<string, string>>,
  settings: { readonly scriptSecurity: number; readonly timeoutMs: number; readonly say: (line: string) => void },
): Promise<ProgramEnd> {
  if (settings.scriptSecurity < USER_PROGRAMS) {
    settings.say(
      "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. See --help text or man page for detailed info.",
    );
    return Promise.resolve({ type: 'failed', reason: 'disallowed by script-security setting' });
  }
  const [program, ...args] = programArguments(command, more) ?? [];
  if (program === undefined) return Promise.resolve(NOT_EXECUTED);
  return new Promise((resolve) => {
    // A process group of its own, so that what it has started ends with it.
    const child = spawn(program, args, { env, stdio: ['ignore', 'inherit', 'inherit'], detached: true });
    const timer = setTimeout(() => killGroup(child.pid), settings.timeoutMs);
    child.on('error', () => {
      clearTimeout(timer);
      resolve(NOT_EXECUTED);
    });
    child.on('exit', (status, signal) => {
      clearTimeout(timer);
      if (status !== null) resolve({ type: 'exit', status });
      else resolve({ type: 'failed', reason: `external program received signal ${signal}` });
    });
  });
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It has just ended.
  }
}

/**
 * The program and its arguments: those of the command line, then `more` as they are. Spaces in one never part it, and an empty one stays.
 * Undefined: it is no command line, or an argument has a NUL or the group separator, by which OpenVPN's own assembly could be led astray.
 */
export function programArguments(command: string, more: readonly string[]): readonly string[] | undefined {
  const words = tokeniseLine(command, 'command');
  if (!words.ok || words.parameters.length === 0) return undefined;
  const all = [...words.parameters, ...more];
  return all.some((argument) => /[\u0000\u001d]/.test(argument)) ? undefined : all;
}

/** Why a program that had to end with status 0 did not. */
export function programFailure(end: ProgramEnd): string | undefined {
  if (end.type === 'failed') return end.reason;
  return end.status === 0 ? undefined : `external program exited with error status: ${end.status}`;
}

const NOT_EXECUTED: ProgramEnd = { type: 'failed', reason: 'could not execute external program' };
