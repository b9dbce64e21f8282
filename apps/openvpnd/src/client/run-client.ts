import type { ConnectionEntry, Options } from '@openvpnd/config';
import { formatEndpoint } from '@openvpnd/external-mux';
import { NEVER } from '@openvpnd/sans-io';
import { ConnectionWalk, Context, type WalkAction } from '@openvpnd/tunnel-state';
import type { ResolvedAddress } from '../host/resolve.js';
import { DEVICE_LOST, describeSignal, type SignalInfo } from '../host/signals.js';
import type { TunnelInterface } from '../host/tunnel-interface.js';
import { linkIds } from '../link/link-ids.js';
import { loadProxies } from '../link/load-proxies.js';
import { readProxyCredentials } from '../link/proxy-credentials.js';
import { loadTransports } from '../link/transport-modules.js';
import { FatalError, type Run } from '../run.js';
import { runConnection } from './client-connection.js';
import { contenders, type Target } from './contenders.js';
import { EntryResolver } from './entry-addresses.js';
import type { ComposedPeer } from './peer-tunnel.js';
import { tunnelComposer } from './tunnel-composer.js';

/**
 * Runs a client until a signal ends it: walks over the remotes and their addresses, with pauses, and connects anew whenever a connection ends with
 * SIGUSR1. OpenVPN: openvpn_main()'s inner loop in client mode.
 *
 * @throws when files or options cannot be used, or the interface not be set up
 */
export async function runClient(run: Run, tunnelInterface: TunnelInterface): Promise<SignalInfo> {
  const { options, log, clock, inbox, random } = run;
  const say = (line: string): void => log.say(1, line);
  const composer = tunnelComposer(run);
  readProxyCredentials(options);
  const resolver = new EntryResolver(run);
  const outer = { nextId: linkIds(), modules: await loadTransports(options), proxies: await loadProxies(options) };
  let locals: readonly ResolvedAddress[] | undefined;
  const context = new Context<Options, ComposedPeer>({ options });
  const walk = new ConnectionWalk<ConnectionEntry, Target>({
    entries: options.connections,
    connectRetryMax: options.link.connectRetryMax,
    keepAddresses: options.link.persistRemoteIp,
    ...(options.link.remoteRandom ? { shuffle: random } : {}),
  });

  /** With --persist-remote-ip: who waits without a remote keeps to the peer that has come. */
  let persistentPeer: Target;
  let unusable = '';
  let action: WalkAction<ConnectionEntry, Target> = walk.start();
  for (;;) {
    switch (action.type) {
      case 'resolve': {
        const { entry, index } = action;
        const found = await resolver.resolve(entry);
        const interrupted = inbox.pending;
        if (interrupted !== undefined && interrupted.signal !== 'SIGUSR1') return takeSignal(run, interrupted);
        switch (found.type) {
          case 'found':
            locals = found.locals;
            action = walk.handleResolved(clock.now(), entry.remote === undefined ? [undefined] : found.remotes);
            break;
          case 'failed':
            action = walk.handleResolved(clock.now(), []);
            break;
          case 'unusable':
            unusable = found.reason;
            action = walk.handleUnusable();
            if (action.type !== 'unusable') say(`WARNING: connection profile ${index + 1} skipped: ${unusable}`);
            break;
        }
        break;
      }
      case 'connect': {
        const { entry, rivals } = action;
        const address = action.address ?? (entry.protocol.transport === 'udp' ? persistentPeer : undefined);
        if (address !== undefined) say(`TCP/UDP: Preserving recently used remote address: ${formatEndpoint(address)}`);
        const info = await runConnection(run, {
          context,
          entry,
          locals,
          remotes: contenders(entry, address, rivals),
          raceDelayMs: entry.raceDelayMs ?? NEVER,
          tried: (remote) => {
            if (entry.remote !== undefined) walk.handleTried(remote);
          },
          outer,
          compose: composer(entry),
          tunnelInterface,
          connected: (peer) => {
            walk.handleConnected();
            if (options.link.persistRemoteIp) persistentPeer = peer;
          },
        });
        if (info.signal !== 'SIGUSR1') return info;
        if (!options.process.persistTun || info.text === DEVICE_LOST) await tunnelInterface.takeDown();
        say(describeSignal(info, 'process'));
        action = walk.handleFailure(clock.now(), info.retry);
        break;
      }
      case 'wait': {
        if (action.seconds > 0) say(`Restart pause, ${action.seconds} second(s)`);
        await inbox.wait(Math.max(0, action.until - clock.now()));
        const interrupted = inbox.pending;
        if (interrupted !== undefined && interrupted.signal !== 'SIGUSR1') return takeSignal(run, interrupted);
        // SIGUSR1 only cuts the pause short.
        if (interrupted !== undefined) inbox.take();
        action = walk.handleTimeout(Math.max(clock.now(), action.until)) ?? action;
        break;
      }
      case 'unusable':
        throw new FatalError(`ERROR: ${unusable}`);
      case 'exhausted':
        throw new FatalError('All connections have been connect-retry-max times unsuccessful, exiting');
    }
  }
}

/** A signal that came between two connections. OpenVPN calls that place init_instance. */
function takeSignal(run: Run, info: SignalInfo): SignalInfo {
  run.inbox.take();
  return { ...info, text: 'init_instance' };
}
