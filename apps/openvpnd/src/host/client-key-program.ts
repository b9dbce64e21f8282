import { spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { tokeniseLine } from '@openvpnd/config';
import type { ClientKeyMetadata } from '@openvpnd/control-wrap';

/** How long a program may think about a key; the client waits meanwhile and gives up after its hand-window. */
const PROGRAM_TIMEOUT_MS = 10_000;
/** Programs that run at the same time; who comes beyond is refused and comes back with its next retransmission. */
const MAX_PROGRAMS = 32;
/** The least script-security with which programs are run that the user named. */
const USER_PROGRAMS = 2;

let running = 0;

/**
 * Asks the program of `--tls-crypt-v2-verify` about the metadata of a client key: run directly, without a shell, with nothing in its
 * environment but `script_type`, `metadata_type` and `metadata_file`. Status 0 admits. Never rejects for what the program does.
 * OpenVPN: tls_crypt_v2_verify_metadata().
 *
 * @param say prints a line about this client
 */
export async function verifyClientKey(
  command: string,
  metadata: ClientKeyMetadata,
  scriptSecurity: number,
  say: (line: string) => void,
): Promise<boolean> {
  if (scriptSecurity < USER_PROGRAMS) {
    say(
      "WARNING: External program may not be called unless '--script-security 2' or higher is enabled. See --help text or man page for detailed info.",
    );
  }
  const failure =
    scriptSecurity < USER_PROGRAMS ? 'disallowed by script-security setting' : await judge(command, metadata);
  if (failure !== undefined) say(`WARNING: Failed running command (--tls-crypt-v2-verify): ${failure}`);
  say(`TLS CRYPT V2 VERIFY SCRIPT ${failure === undefined ? 'OK' : 'ERROR'}`);
  return failure === undefined;
}

/** Why the program did not say yes. */
async function judge(command: string, metadata: ClientKeyMetadata): Promise<string | undefined> {
  const words = tokeniseLine(command, 'tls-crypt-v2-verify');
  const [program, ...args] = words.ok ? words.parameters : [];
  if (program === undefined) return 'could not execute external program';
  if (running >= MAX_PROGRAMS) return `${MAX_PROGRAMS} programs are running already`;
  running += 1;
  let directory: string | undefined;
  try {
    // For this user alone.
    directory = await mkdtemp(join(tmpdir(), 'openvpnd-metadata-'));
    const file = join(directory, 'metadata');
    const { type, content } = fileForm(metadata);
    await writeFile(file, content, { mode: 0o600 });
    const env = { script_type: 'tls-crypt-v2-verify', metadata_type: String(type), metadata_file: file };
    return await execute(program, args, env);
  } catch (error) {
    return (error as Error).message;
  } finally {
    running -= 1;
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
}

function execute(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      env,
      stdio: ['ignore', 'inherit', 'inherit'],
      timeout: PROGRAM_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    });
    child.on('error', () => resolve('could not execute external program'));
    child.on('exit', (status, signal) => {
      if (status === 0) resolve(undefined);
      else if (status !== null) resolve(`external program exited with error status: ${status}`);
      else resolve(`external program received signal ${signal}`);
    });
  });
}

/** Type octet and content of the metadata as they stood in the key. */
function fileForm(metadata: ClientKeyMetadata): { readonly type: number; readonly content: Uint8Array } {
  switch (metadata.type) {
    case 'none':
      return { type: 0, content: new Uint8Array(0) };
    case 'user':
      return { type: 0, content: metadata.bytes };
    case 'timestamp': {
      const content = Buffer.alloc(8);
      content.writeBigUInt64BE(BigInt(metadata.unixSeconds));
      return { type: 1, content };
    }
    case 'unknown':
      return { type: metadata.number, content: metadata.bytes };
  }
}
