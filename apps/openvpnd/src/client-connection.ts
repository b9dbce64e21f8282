import type { ConnectionEntry, Options } from '@openvpnd/config';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import { type Endpoint, formatEndpoint } from '@openvpnd/external-mux';
import { evpBackend } from '@openvpnd/packet-io';
import type { Context } from '@openvpnd/tunnel-state';
import { openClientLink } from './client-link.js';
import { type ComposedClient, composeClient } from './compose-client.js';
import type { ControlWraps } from './control-wraps.js';
import type { Credentials } from './host/credentials.js';
import type { SignalInfo } from './host/signals.js';
import type { TunnelInterface } from './host/tunnel-interface.js';
import { keepStatus } from './keep-status.js';
import { linkFactory } from './link-factories.js';
import type { Run } from './run.js';
import { clientStatistics } from './statistics.js';
import { TunnelDriver } from './tunnel-driver.js';

/** What one attempt of a client works with, beside the run. */
export interface ClientConnectionOptions {
  /** Holds the modules of the connection while it lasts. */
  readonly context: Context<Options, ComposedClient>;
  readonly entry: ConnectionEntry;
  readonly remote: Endpoint;
  /** Gives an id that no open link has. */
  readonly nextLinkId: () => number;
  readonly engines: TlsEngineFactory;
  readonly wraps: ControlWraps;
  readonly credentials: Credentials | undefined;
  /** Kept across connections while `--persist-tun` holds. */
  readonly tunnelInterface: TunnelInterface;
  /** Called when the interface is up and the tunnel carries data. */
  readonly connected: () => void;
}

/**
 * Connects to one address of one remote and stays until a signal ends it, from inside or outside. The socket and the sessions are
 * gone afterwards; the interface is the caller's. OpenVPN: tunnel_point_to_point().
 *
 * @throws when the socket cannot be opened or the interface not be set up
 */
export async function runConnection(run: Run, connection: ClientConnectionOptions): Promise<SignalInfo> {
  const { options, log, clock, random, unixTime } = run;
  const { entry, remote, tunnelInterface } = connection;
  const say = (line: string): void => log.say(1, line);
  const opened = await openClientLink(run, entry, linkFactory(options, entry, connection.nextLinkId), remote);
  if (!opened.ok) return opened.info;
  if (run.privileges.pending) {
    say('NOTE: UID/GID downgrade will be delayed because of --client, --pull, or --up-delay');
  }
  const from = formatEndpoint(remote);
  const modules = composeClient({
    options,
    entry,
    remote: opened.remote,
    engines: connection.engines,
    wraps: connection.wraps,
    credentials: connection.credentials,
    backend: evpBackend(),
    random,
    unixTime,
    wake: () => driver.wake(),
    sayImported: (line) => log.say(3, line),
    log: log.events(
      () => '',
      () => ({ from }),
    ),
  });
  const { tunnel } = modules;
  const driver: TunnelDriver = new TunnelDriver(run, {
    tunnel,
    link: opened.link,
    tunMtu: entry.tunMtuMax,
    configure: async (imported) => {
      if (imported.pulled.tcpNoDelay) opened.link.setNoDelay?.();
      const device = await tunnelInterface.bringUp(imported.plan, remote);
      if (driver.stopped) return;
      driver.setDevice(device);
      run.privileges.drop(say);
      connection.connected();
      say('Initialization Sequence Completed');
    },
  });
  const stopStatus = keepStatus(run, (now) => clientStatistics(tunnel.traffic, now));
  connection.context.openInstance(clock.now(), modules);
  try {
    driver.execute(tunnel.start(clock.now()));
    return await driver.ended;
  } finally {
    stopStatus();
    driver.stop();
    connection.context.closeInstance()?.tunnel.close();
  }
}
