import { readdirSync } from 'node:fs';
import type { KeyRequest, Options } from '@openvpnd/config';
import { parseArguments, usage } from '@openvpnd/config';
import { nodeClock } from '@openvpnd/event-loop/node';
import { hasNativeAddon, type PassedSocket, takePassedSockets } from '@openvpnd/packet-io';
import { dataPathProblem } from './data-path.js';
import { generateKey } from './generate-key.js';
import { configFiles } from './host/config-files.js';
import { nativeInterface } from './host/native-interface.js';
import { removePidFile, writePidFile } from './host/pid-file.js';
import { Privileges } from './host/privileges.js';
import { DEVICE_LOST, describeSignal, SignalInbox, type SignalInfo } from './host/signals.js';
import { describeErrno, readSource, SourceFileError } from './host/source-files.js';
import { closeStateFiles, openStateFiles, statusProblem } from './host/state-files.js';
import { systemRandom } from './host/system-random.js';
import type { TunnelInterface } from './host/tunnel-interface.js';
import { moduleFault } from './link/module-faults.js';
import { DaemonLog } from './log/daemon-log.js';
import { LineWriter } from './log/line-writer.js';
import { FatalError, type Run } from './run.js';
import type { RunningServer } from './server/running-server.js';
import { namedSources } from './tls-engines.js';
import { versionLines } from './version.js';
import { letYoungGenerationGrow, usesStreams } from './young-generation.js';

export type { PushUpdateResult, PushUpdateTarget } from './server/push-updates.js';
export type { RunningServer } from './server/running-server.js';
export type { ClientStatus } from './server/server-status.js';

/** OpenVPN's exit statuses. */
const EXIT_GOOD = 0;
const EXIT_ERROR = 1;
/** OpenVPN's line behind errors of options. */
const SEE_HELP = 'Use --help for more information.';

/** What a program around the daemon is told. */
export interface DaemonHooks {
  /** A server is ready for clients: at its start, and again after each restart. */
  readonly serverStarted?: (server: RunningServer) => void;
}

/**
 * The daemon, from its arguments to its exit status. It takes the signals of the process and writes its log to standard output.
 * OpenVPN: openvpn_main().
 */
export async function runDaemon(argv: readonly string[], hooks: DaemonHooks = {}): Promise<number> {
  // A reader that left and a full disk lose what we say, and nothing else.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  const inbox = new SignalInbox();
  const bug = watchForBugs(inbox);
  const privileges = new Privileges();
  const startDirectory = process.cwd();
  let pidFile: string | undefined;
  let passedSockets: readonly PassedSocket[];
  try {
    passedSockets = hasNativeAddon() ? takePassedSockets(process.env) : [];
  } catch (error) {
    if (!isOperational(error)) throw error;
    return complain([error.message]);
  }
  try {
    for (;;) {
      // Relative paths of a second reading count from where the first one started.
      process.chdir(startDirectory);
      const read = readOptions(argv);
      if (typeof read === 'number') return read;
      if (read.options.process.pidFile !== undefined && pidFile === undefined) {
        try {
          writePidFile(read.options.process.pidFile);
        } catch (error) {
          if (!(error instanceof FatalError)) throw error;
          return complain([`Options error: ${error.message}`]);
        }
        pidFile = read.options.process.pidFile;
      }
      const info = await runOnce(read, inbox, privileges, hooks, passedSockets);
      if (info === undefined) return EXIT_ERROR;
      if (bug.seen) return EXIT_ERROR;
      if (info.signal !== 'SIGHUP') return EXIT_GOOD;
    }
  } finally {
    inbox.close();
    bug.stop();
    if (pidFile !== undefined) removePidFile(pidFile);
  }
}

/** How long the interface and the routes have to be taken down after a bug. */
const BUG_CLEANUP_MS = 5000;

/**
 * What nobody caught is a bug of ours: one line says so (with NODE_DEBUG=openvpnd the stack too), and the run ends in order, so that no
 * route stays bent.
 */
function watchForBugs(inbox: SignalInbox): { readonly seen: boolean; stop(): void } {
  let seen = false;
  const handle = (error: unknown): void => {
    const stack = process.env.NODE_DEBUG?.includes('openvpnd') ? `\n${(error as Error).stack}` : '';
    const known = error instanceof FatalError ? error.message : moduleFault(error);
    process.stdout.write(`${known ?? `internal error, please report it: ${error}`}${stack}\n`);
    if (seen) process.exit(EXIT_ERROR);
    seen = true;
    setTimeout(() => process.exit(EXIT_ERROR), BUG_CLEANUP_MS).unref();
    inbox.raise({
      signal: 'SIGTERM',
      source: 'soft',
      text: known === undefined ? 'internal-error' : 'transport-failed',
    });
  };
  process.on('uncaughtException', handle);
  process.on('unhandledRejection', handle);
  return {
    get seen(): boolean {
      return seen;
    },
    stop() {
      process.off('uncaughtException', handle);
      process.off('unhandledRejection', handle);
    },
  };
}

interface Reading {
  readonly options: Options;
  readonly log: DaemonLog;
  readonly writer: LineWriter;
}

/** The options and the log that they ask for, or the status to exit with. */
function readOptions(argv: readonly string[]): Reading | number {
  const result = parseArguments(argv, configFiles);
  if (result.ok && result.standAlone === 'help') {
    process.stdout.write(usage());
    // As OpenVPN: who asks for help has not started anything.
    return EXIT_ERROR;
  }
  if (result.ok && result.standAlone === 'version') {
    process.stdout.write(`${versionLines().join('\n')}\n`);
    return EXIT_GOOD;
  }
  if (result.ok && result.standAlone === 'genkey') return makeKey(result.request, result.warnings);
  if (!result.ok || result.standAlone !== undefined) return complain(result.ok ? [] : result.errors);
  const { options, warnings } = result;
  const unreadable: string[] = [];
  try {
    if (options.process.directory !== undefined) process.chdir(options.process.directory);
  } catch (error) {
    unreadable.push(`Options error: --cd fails with '${options.process.directory}': ${reasonOf(error)}`);
  }
  for (const source of namedSources(options)) {
    try {
      readSource(source);
    } catch (error) {
      if (!(error instanceof SourceFileError)) throw error;
      unreadable.push(`Options error: ${error.message}`);
    }
  }
  const { clientConfigDir } = options.server ?? {};
  if (clientConfigDir !== undefined) {
    try {
      readdirSync(clientConfigDir);
    } catch (error) {
      unreadable.push(`Options error: --client-config-dir fails with '${clientConfigDir}': ${reasonOf(error)}`);
    }
  }
  for (const problem of [statusProblem(options), dataPathProblem(options)]) {
    if (problem !== undefined) unreadable.push(problem);
  }
  if (unreadable.length > 0) return complain([...unreadable, 'Options error: Please correct these errors.']);
  const { file, timestamps, verbosity } = options.log;
  let writer: LineWriter;
  try {
    writer = new LineWriter({ timestamps, microseconds: verbosity >= 4, ...(file === undefined ? {} : { file }) });
  } catch (error) {
    return complain([`Options error: --log fails with '${file?.path}': ${reasonOf(error)}`]);
  }
  const log = new DaemonLog(writer, verbosity, options.log.mute);
  for (const warning of warnings) log.say(1, warning);
  return { options, log, writer };
}

/** --genkey. Lines go to standard output as a log's. */
function makeKey(request: KeyRequest, warnings: readonly string[]): number {
  const writer = new LineWriter({ timestamps: true, microseconds: false });
  for (const warning of warnings) writer.write(warning);
  try {
    generateKey(request, systemRandom, Math.floor(Date.now() / 1000));
    return EXIT_GOOD;
  } catch (error) {
    if (!isOperational(error)) throw error;
    for (const line of [...error.message.split('\n'), 'Exiting due to fatal error']) writer.write(line);
    return EXIT_ERROR;
  }
}

function reasonOf(error: unknown): string {
  return describeErrno((error as NodeJS.ErrnoException).code);
}

function complain(errors: readonly string[]): number {
  for (const error of [...errors, SEE_HELP]) process.stdout.write(`${error}\n`);
  return EXIT_ERROR;
}

/** One run with one reading of the options. Undefined: it ended with a fatal error, which is told. */
async function runOnce(
  { options, log, writer }: Reading,
  inbox: SignalInbox,
  privileges: Privileges,
  hooks: DaemonHooks,
  passedSockets: readonly PassedSocket[],
): Promise<SignalInfo | undefined> {
  if (usesStreams(options)) letYoungGenerationGrow();
  const clock = nodeClock();
  const epoch = Date.now() - clock.now();
  const files = await openStateFiles(options, (line) => log.say(1, line));
  const run: Run = {
    options,
    log,
    inbox,
    privileges,
    files,
    passedSockets,
    clock,
    random: systemRandom,
    unixTime: (now) => Math.floor((epoch + now) / 1000),
  };
  for (const line of versionLines().slice(0, 2)) log.say(1, line);
  if (passedSockets.length > 0 && options.mode !== 'server') {
    log.say(1, 'NOTE: LISTEN_FDS is for servers: the passed sockets are not used');
  }
  const tunnelInterface = nativeInterface(run);
  try {
    privileges.prepare(options, (line) => log.say(1, line));
    const info =
      options.mode === 'server' ? await serve(run, tunnelInterface, hooks) : await connect(run, tunnelInterface);
    await tunnelInterface.takeDown();
    log.say(1, describeSignal(info, 'process'));
    return info;
  } catch (error) {
    await tunnelInterface.takeDown();
    log.say(
      0,
      isOperational(error) ? error.message : (moduleFault(error) ?? `internal error, please report it: ${error}`),
    );
    log.say(0, 'Exiting due to fatal error');
    return undefined;
  } finally {
    await closeStateFiles(files);
    writer.close();
  }
}

// Of the two roles only that which is played is loaded: modules are most of what a start costs.

async function connect(run: Run, tunnelInterface: TunnelInterface): Promise<SignalInfo> {
  const { runClient } = await import('./client/run-client.js');
  return runClient(run, tunnelInterface);
}

/** A server starts anew after SIGUSR1, in the same process with the same options. */
async function serve(run: Run, tunnelInterface: TunnelInterface, hooks: DaemonHooks): Promise<SignalInfo> {
  const { runServer } = await import('./server/run-server.js');
  for (;;) {
    const info = await runServer(run, tunnelInterface, hooks.serverStarted);
    if (info.signal !== 'SIGUSR1') return info;
    if (!run.options.process.persistTun || info.text === DEVICE_LOST) await tunnelInterface.takeDown();
    run.log.say(1, describeSignal(info, 'process'));
    run.log.say(1, 'Restart pause, 1 second(s)');
    await run.inbox.wait(1000);
    const pending = run.inbox.pending;
    if (pending !== undefined && pending.signal !== 'SIGUSR1') return run.inbox.take() ?? pending;
  }
}

/** What the world may do to us, as opposed to a bug of ours: these errors have a code, and a message for people. */
function isOperational(error: unknown): error is Error {
  return error instanceof Error && typeof (error as { code?: unknown }).code === 'string';
}
