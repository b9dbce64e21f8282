import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ClientKeyMetadata } from '@openvpnd/control-wrap';
import { programFailure, runUserProgram } from './user-program.js';

/** How long a program may think about a key; the client waits meanwhile and gives up after its hand-window. */
const PROGRAM_TIMEOUT_MS = 10_000;
/** Programs that run at the same time; who comes beyond is refused and comes back with its next retransmission. */
const MAX_PROGRAMS = 32;

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
  const failure = await judge(command, metadata, scriptSecurity, say);
  if (failure !== undefined) say(`WARNING: Failed running command (--tls-crypt-v2-verify): ${failure}`);
  say(`TLS CRYPT V2 VERIFY SCRIPT ${failure === undefined ? 'OK' : 'ERROR'}`);
  return failure === undefined;
}

/** Why the program did not say yes. */
async function judge(
  command: string,
  metadata: ClientKeyMetadata,
  scriptSecurity: number,
  say: (line: string) => void,
): Promise<string | undefined> {
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
    const settings = { scriptSecurity, timeoutMs: PROGRAM_TIMEOUT_MS, say };
    return programFailure(await runUserProgram(command, [], env, settings));
  } catch (error) {
    return (error as Error).message;
  } finally {
    running -= 1;
    if (directory !== undefined) await rm(directory, { recursive: true, force: true });
  }
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
