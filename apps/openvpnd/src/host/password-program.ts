import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Places } from './places.js';
import { passwordMayBeInEnvironment, programFailure, runUserProgram } from './user-program.js';

/** Programs that run at the same time; the rest wait in a row, one for each client at most. */
const MAX_PROGRAMS = 32;
/** How often the file is looked at in which a program that took its time puts its answer. */
const POLL_MS = 200;
/** What is read of a file that a program wrote: a control message has no room for more. */
const MAX_FILE_BYTES = 900;
/** A program ends so that has yet to decide. OpenVPN: OPENVPN_PLUGIN_FUNC_DEFERRED. */
const DEFERRED = 2;

/** Name and password of a client, and what else a program is told of it. */
export interface PasswordRequest {
  /** Control characters are replaced by `_`. */
  readonly username: string;
  readonly password: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Whether the answer still matters. */
  readonly isOpen: () => boolean;
}

/** What the program says. `reason` goes to the client: a text, or `CRV1:…` to challenge it, or `TEMP…`. */
export type PasswordAnswer =
  | { readonly type: 'admitted' }
  | { readonly type: 'refused'; readonly reason: string | undefined };

/** How the client is to authenticate meanwhile: what a program that takes its time wrote into `auth_pending_file`. */
export interface PendingAuthentication {
  readonly timeoutSeconds: number;
  /** `openurl`, `webauth`, `crtext` … */
  readonly method: string;
  /** For the client: what follows `INFO_PRE,`. */
  readonly info: string;
}

export interface PasswordProgramOptions {
  readonly command: string;
  readonly method: 'via-env' | 'via-file';
  readonly scriptSecurity: number;
  /** How long the program may run. */
  readonly timeoutMs: number;
  readonly say: (line: string) => void;
}

/**
 * The program of --auth-user-pass-verify: asked beside the running server about each password, 32 at a time. It is given the name and the
 * password in its environment or in a file that is its last argument, ends with 0 for yes and 1 for no, or with 2 to write 1 or 0 into
 * `auth_control_file` later. OpenVPN: verify_user_pass_script().
 */
export class PasswordProgram {
  readonly #options: PasswordProgramOptions;
  readonly #places = new Places(MAX_PROGRAMS);

  constructor(options: PasswordProgramOptions) {
    this.#options = options;
  }

  /** Never rejects for what the program does. `pending` is called when it wants the client to do something meanwhile. */
  async verify(
    request: PasswordRequest,
    pending: (authentication: PendingAuthentication) => void,
  ): Promise<PasswordAnswer> {
    let directory: string | undefined;
    try {
      // For this user alone.
      directory = await mkdtemp(join(tmpdir(), 'openvpnd-auth-'));
      const answer = await this.#ask(directory, request, pending);
      if (answer.admitted) return { type: 'admitted' };
      const reason = await firstLines(join(directory, 'failed_reason'));
      return { type: 'refused', reason: answer.reason ?? reason[0] };
    } catch (error) {
      this.#options.say(`WARNING: --auth-user-pass-verify: ${(error as Error).message}`);
      return { type: 'refused', reason: undefined };
    } finally {
      if (directory !== undefined) await rm(directory, { recursive: true, force: true });
    }
  }

  async #ask(
    directory: string,
    request: PasswordRequest,
    pending: (authentication: PendingAuthentication) => void,
  ): Promise<{ readonly admitted: boolean; readonly reason?: string }> {
    const { command, method, scriptSecurity, timeoutMs, say } = this.#options;
    const files = {
      auth_control_file: join(directory, 'control'),
      auth_pending_file: join(directory, 'pending'),
      auth_failed_reason_file: join(directory, 'failed_reason'),
    };
    for (const file of Object.values(files)) await writeFile(file, '', { mode: 0o600 });
    const { username, password } = request;
    const env: Record<string, string> = { ...request.environment, script_type: 'user-pass-verify', ...files };
    const args: string[] = [];
    if (method === 'via-file') {
      const file = join(directory, 'credentials');
      await writeFile(file, `${username}\n${password}\n`, { mode: 0o600 });
      args.push(file);
    } else {
      env.username = username;
      if (passwordMayBeInEnvironment(scriptSecurity)) env.password = password;
    }
    await this.#places.enter();
    if (!request.isOpen()) {
      this.#places.leave();
      return { admitted: false };
    }
    const end = await runUserProgram(command, args, env, { scriptSecurity, timeoutMs, say }).finally(() =>
      this.#places.leave(),
    );
    if (end.type === 'exit' && end.status === DEFERRED) {
      const authentication = parsePending(await firstLines(files.auth_pending_file));
      if (authentication !== undefined) pending(authentication);
      return { admitted: await this.#waitFor(files.auth_control_file, request) };
    }
    const failure = programFailure(end);
    if (failure !== undefined) say(`WARNING: Failed running command (--auth-user-pass-verify): ${failure}`);
    return { admitted: failure === undefined };
  }

  /** The control channel gives the client up when it takes too long, and nobody waits any longer. */
  async #waitFor(file: string, request: PasswordRequest): Promise<boolean> {
    while (request.isOpen()) {
      const text = (await firstLines(file))[0] ?? '';
      if (text.startsWith('1')) return true;
      if (text.startsWith('0')) return false;
      await new Promise((resolve) => setTimeout(resolve, POLL_MS).unref());
    }
    return false;
  }
}

/** OpenVPN: key_state_check_auth_pending_file(). */
function parsePending(lines: readonly string[]): PendingAuthentication | undefined {
  const [timeout = '', method = '', info = ''] = lines;
  if (!/^\d{1,6}$/.test(timeout.trim()) || Number(timeout) === 0 || method === '' || info === '') return undefined;
  return { timeoutSeconds: Number(timeout), method, info };
}

async function firstLines(file: string): Promise<readonly string[]> {
  const content = await readFile(file).catch(() => Buffer.alloc(0));
  const text = content.subarray(0, MAX_FILE_BYTES).toString('utf8');
  return text === '' ? [] : text.split('\n').map((line) => line.trimEnd());
}
