import type { ConnectionEntry, Options } from '@openvpnd/config';
import { type Endpoint, formatEndpoint, parseEndpoint } from '@openvpnd/external-mux';
import { NEVER } from '@openvpnd/sans-io';
import { ConnectionWalk, Context, type WalkAction } from '@openvpnd/tunnel-state';
import { runConnection } from './client-connection.js';
import { ClientCredentials } from './client-credentials.js';
import type { ComposedClient } from './compose-client.js';
import { controlWraps } from './control-wraps.js';
import { readCredentials } from './host/credentials.js';
import { ResolveError, resolveHost } from './host/resolve.js';
import { DEVICE_LOST, describeSignal, type SignalInfo } from './host/signals.js';
import type { TunnelInterface } from './host/tunnel-interface.js';
import { FatalError, type Run } from './run.js';
import { tlsEngines } from './tls-engines.js';

/** Where a client goes; undefined: it waits for a peer from anywhere. */
type Target = Endpoint | undefined;

/** Between two attempts to resolve a name. OpenVPN: fail_wait_interval of openvpn_getaddrinfo(). */
const RESOLVE_PAUSE_MS = 5000;

/**
 * Runs a client until a signal ends it: walks over the remotes and their addresses, with pauses, and connects anew whenever a connection ends with
 * SIGUSR1. OpenVPN: openvpn_main()'s inner loop in client mode.
 *
 * @throws when files or options cannot be used, or the interface not be set up
 */
export async function runClient(run: Run, tunnelInterface: TunnelInterface): Promise<SignalInfo> {
  const { options, log, clock, inbox, random } = run;
  const say = (line: string): void => log.say(1, line);
  const engines = tlsEngines(options);
  const { authUserPass } = options.client ?? {};
  const credentials = new ClientCredentials(authUserPass === undefined ? undefined : readCredentials(authUserPass));
  if (
    options.tls.role === 'client' &&
    options.tls.remoteCertTls === undefined &&
    options.tls.verifyX509Name === undefined &&
    options.tls.remoteCertEku === undefined
  ) {
    say(
      'WARNING: No server certificate verification method has been enabled.  See http://openvpn.net/howto.html#mitm for more info.',
    );
  }
  let lastLinkId = 0;
  const context = new Context<Options, ComposedClient>({ options });
  const walk = new ConnectionWalk<ConnectionEntry, Target>({
    entries: options.connections,
    connectRetryMax: options.link.connectRetryMax,
    ...(options.link.remoteRandom ? { shuffle: random } : {}),
  });

  let action: WalkAction<ConnectionEntry, Target> = walk.start();
  for (;;) {
    switch (action.type) {
      case 'resolve': {
        const addresses = await resolveRemote(run, action.entry);
        const interrupted = inbox.pending;
        if (interrupted !== undefined && interrupted.signal !== 'SIGUSR1') return takeSignal(run, interrupted);
        action = walk.handleResolved(clock.now(), addresses);
        break;
      }
      case 'connect': {
        const { entry, address, rivals } = action;
        if (address !== undefined) say(`TCP/UDP: Preserving recently used remote address: ${formatEndpoint(address)}`);
        const info = await runConnection(run, {
          context,
          entry,
          remotes: contenders(entry, address, rivals),
          raceDelayMs: raceDelayMs(entry),
          tried: (remote) => walk.handleTried(remote),
          nextLinkId: () => ++lastLinkId,
          engines,
          wraps: controlWraps(options, entry),
          credentials,
          tunnelInterface,
          connected: () => walk.handleConnected(),
        });
        if (info.signal !== 'SIGUSR1') return info;
        if (!options.process.persistTun || info.text === DEVICE_LOST) await tunnelInterface.takeDown();
        say(describeSignal(info, 'process'));
        action = walk.handleFailure(clock.now(), info.retry);
        break;
      }
      case 'wait': {
        say(`Restart pause, ${action.seconds} second(s)`);
        await inbox.wait(Math.max(0, action.until - clock.now()));
        const interrupted = inbox.pending;
        if (interrupted !== undefined && interrupted.signal !== 'SIGUSR1') return takeSignal(run, interrupted);
        // SIGUSR1 only cuts the pause short.
        if (interrupted !== undefined) inbox.take();
        action = walk.handleTimeout(Math.max(clock.now(), action.until)) ?? action;
        break;
      }
      case 'unusable':
      case 'exhausted':
        throw new FatalError('All connections have been connect-retry-max times unsuccessful, exiting');
    }
  }
}

/** The addresses of a remote; none when it cannot be resolved in the time of --resolv-retry or a signal came. */
async function resolveRemote(run: Run, entry: ConnectionEntry): Promise<readonly Target[]> {
  const { options, log, clock, inbox } = run;
  const { remote } = entry;
  if (remote === undefined) return [undefined];
  const deadline = clock.now() + options.link.resolveRetrySeconds * 1000;
  for (;;) {
    try {
      const addresses = await resolveHost(remote.host, entry.protocol.family);
      return addresses.map(({ family, address }) => {
        const { port } = remote;
        return parseEndpoint(address, port) ?? { family, address, port };
      });
    } catch (error) {
      if (!(error instanceof ResolveError)) throw error;
      log.say(1, error.message);
    }
    if (clock.now() + RESOLVE_PAUSE_MS > deadline) return [];
    await inbox.wait(RESOLVE_PAUSE_MS);
    if (inbox.pending !== undefined) return [];
  }
}

/** Which addresses one attempt has to do with. */
function contenders(entry: ConnectionEntry, first: Target, rivals: readonly Target[]): readonly Endpoint[] {
  if (first === undefined) return [];
  const others = rivals.filter((rival) => rival !== undefined);
  const { transport, side } = entry.protocol;
  // Who waits for a connection waits for all addresses of its peer.
  if (transport === 'tcp' && side === 'server') return [first, ...others];
  return [first];
}

function raceDelayMs(_entry: ConnectionEntry): number {
  return NEVER;
}

/** A signal that came between two connections. OpenVPN calls that place init_instance. */
function takeSignal(run: Run, info: SignalInfo): SignalInfo {
  run.inbox.take();
  return { ...info, text: 'init_instance' };
}
