import type { WorkerTlsEngineFactory } from '@openvpnd/control-tls/node';
import type { LinkListener } from '@openvpnd/external-mux';
import { planInput } from '../client/import-options.js';
import { controlWraps } from '../control-wraps.js';
import { DataPath } from '../data-path.js';
import { verifyClientKey } from '../host/client-key-program.js';
import { lowerHelperThreads } from '../host/helper-threads.js';
import { PasswordProgram } from '../host/password-program.js';
import { PortShare } from '../host/port-share.js';
import type { SignalInfo } from '../host/signals.js';
import type { TunnelInterface } from '../host/tunnel-interface.js';
import { keepStatus } from '../keep-status.js';
import { linkFactory } from '../link/link-factories.js';
import { linkIds } from '../link/link-ids.js';
import { loadTransports } from '../link/transport-modules.js';
import { optimiseAsUsual, optimiseEarly, restFromOptimising } from '../optimisation.js';
import type { Run } from '../run.js';
import { timerMs } from '../timer-limit.js';
import { threadedTlsEngines } from '../tls-engines.js';
import { TunnelDriver } from '../tunnel-driver.js';
import { versionLines } from '../version.js';
import { keepYoungGenerationSmall, usesStreams } from '../young-generation.js';
import { clientConfigFrom } from './client-config-dir.js';
import { collectAlone } from './collect-alone.js';
import { keepHeapCompact, leaveRoomForRush, letHeapGrow } from './compact-heap.js';
import { composeServer } from './compose-server.js';
import { FirstRush } from './first-rush.js';
import { openListeners } from './open-listeners.js';
import { passwordPolicy } from './password-policy.js';
import { persistPool } from './pool-persistence.js';
import { ReceiveBuffers } from './receive-buffers.js';
import { RunningServer } from './running-server.js';
import { serverStatus } from './server-status.js';

/**
 * Runs a server until a signal ends it. Everything that it opened is closed afterwards, except an interface that `--persist-tun` keeps
 * for the next run. OpenVPN: tunnel_server().
 *
 * @param started gets the server when it is ready for clients
 * @throws when socket, device or files cannot be used
 */
export async function runServer(
  run: Run,
  tunnelInterface: TunnelInterface,
  started?: (server: RunningServer) => void,
): Promise<SignalInfo> {
  keepHeapCompact();
  leaveRoomForRush();
  collectAlone();
  lowerHelperThreads();
  const engines = threadedTlsEngines(run.options);
  try {
    return await serveWith(engines, run, tunnelInterface, started);
  } finally {
    await engines.close();
  }
}

async function serveWith(
  engines: WorkerTlsEngineFactory,
  run: Run,
  tunnelInterface: TunnelInterface,
  started: ((server: RunningServer) => void) | undefined,
): Promise<SignalInfo> {
  const { options, log, random, unixTime } = run;
  const { server, listeners } = options;
  if (server === undefined) throw new TypeError('not the options of a server');
  const say = (line: string): void => log.say(1, line);

  const modules = await loadTransports(options);
  const dataPath = new DataPath(options);
  const backend = dataPath.backend();
  const verifyCommand = options.tls.clientKeyVerify;
  const passwords = passwordPolicy(options, random);
  const program = passwordProgram(run, say);
  const rush = new FirstRush({
    begins: () => {
      if (!usesStreams(options)) keepYoungGenerationSmall();
      restFromOptimising();
      letHeapGrow();
    },
    ends: () => {
      optimiseAsUsual();
      keepHeapCompact();
    },
  });
  const receiveBuffers = new ReceiveBuffers();
  const top = composeServer({
    options,
    ...(passwords === undefined ? {} : { passwords }),
    engines: {
      create: (parts) => {
        rush.handshakeBegins();
        return engines.create(parts);
      },
    },
    wraps: listeners.map((listener) => controlWraps(options, listener)),
    backend,
    flows: (changes) => dataPath.flows(changes),
    random,
    unixTime,
    clientConfig: clientConfigFrom(server.clientConfigDir, server.ccdExclusive, say),
    wake: () => driver.wake(),
    connected: (clients) => receiveBuffers.connected(clients),
    peerLog: (describe) => log.events(() => `${describe().name} `, describe),
    log: log.events(() => ''),
  });
  const { tunnel, addressing } = top.modules;
  const device = await tunnelInterface.bringUp(planInput(options, listeners[0]), undefined);
  const driver: TunnelDriver = new TunnelDriver(run, {
    tunnel,
    tunMtu: listeners[0].tunMtuMax,
    ...(verifyCommand === undefined
      ? {}
      : {
          verifyClientKey: async ({ requestId, metadata, describe }): Promise<void> => {
            const tell = (line: string): void => say(`${describe()} ${line}`);
            const admitted = await verifyClientKey(verifyCommand, metadata, options.process.scriptSecurity, tell);
            driver.execute(tunnel.handleClientKeyVerdict(run.clock.now(), requestId, admitted));
          },
        }),
    ...(program === undefined
      ? {}
      : {
          verifyPassword: async (request): Promise<void> => {
            const { questionId } = request;
            const answer = await program.verify(request, (pending) =>
              driver.execute(tunnel.handlePasswordPending(run.clock.now(), questionId, pending)),
            );
            driver.execute(tunnel.handlePasswordVerdict(run.clock.now(), questionId, answer));
          },
        }),
  });
  driver.setDevice(device);
  let stopPersisting = (): void => {};
  let stopStatus = (): void => {};
  const [title] = versionLines();
  let open: LinkListener | undefined;
  const portShare = new PortShare(say);
  const outer = { run, nextId: linkIds(), modules, portShare };
  try {
    const interrupted = new AbortController();
    void driver.ended.then(
      () => interrupted.abort(),
      () => interrupted.abort(),
    );
    try {
      open = await openListeners(
        run,
        listeners,
        (listener, passed) => linkFactory(outer, listener, passed),
        {
          link: (link, remote, listener) => {
            if (remote === undefined) {
              tunnel.addLink(link.id, listener, link.idCount);
              if (listeners[listener].socket.receiveBufferBytes === undefined) receiveBuffers.add(link);
            }
            driver.addLink(link);
            if (remote !== undefined) driver.execute(tunnel.handleConnection(run.clock.now(), remote, listener));
          },
        },
        interrupted.signal,
      );
    } catch (error) {
      // A signal came while a resolver or a transport took its time.
      if (interrupted.signal.aborted) return await driver.ended;
      throw error;
    }
    optimiseEarly();
    say(dataPath.describe(tunnelInterface.offload, driver.links(), backend));
    run.privileges.drop(say);
    say(`MULTI: multi_init called, r=${server.maxClients} v=${server.maxClients}`);
    if (server.pool !== undefined) say(`IFCONFIG POOL IPv4: base=${server.pool.start} size=${addressing.poolSize}`);
    if (server.poolIpv6 !== undefined) {
      say(`IFCONFIG POOL IPv6: base=${server.poolIpv6.start} size=65536 netbits=${server.poolIpv6.bits}`);
    }
    if (server.pool !== undefined && server.poolIpv6 !== undefined) {
      say(
        `NOTE: IPv4 pool size is ${addressing.poolSize}, IPv6 pool size is 65536. IPv4 pool size limits the number of clients that can be served from the pool`,
      );
    }
    stopPersisting = await persistPool(run, addressing);
    stopStatus = keepStatus(run, (now) =>
      serverStatus(tunnel.status(), { version: options.log.statusVersion, title, now, unixTime }),
    );
    say('Initialization Sequence Completed');
    engines.warmUp();
    started?.(new RunningServer({ tunnel, driver, clock: run.clock }));
    return await driver.ended;
  } finally {
    rush.close();
    stopStatus();
    stopPersisting();
    open?.close();
    portShare.close();
    driver.stop();
    tunnel.close();
  }
}

/** The program of --auth-user-pass-verify, if there is one. */
function passwordProgram({ options }: Run, say: (line: string) => void): PasswordProgram | undefined {
  const { passwordVerify } = options.server ?? {};
  if (passwordVerify === undefined) return undefined;
  const { scriptSecurity } = options.process;
  // The client does not wait longer either.
  const timeoutMs = timerMs(options.tls.handshakeWindowSeconds);
  return new PasswordProgram({ ...passwordVerify, scriptSecurity, timeoutMs, say });
}
