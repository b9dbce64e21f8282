import type { ConnectionEntry, Options } from '@openvpnd/config';
import { type Endpoint, endpointOf, formatEndpoint } from '@openvpnd/external-mux';
import type { Context } from '@openvpnd/tunnel-state';
import { DataPath } from '../data-path.js';
import type { ResolvedAddress } from '../host/resolve.js';
import type { SignalInfo } from '../host/signals.js';
import type { TunnelInterface } from '../host/tunnel-interface.js';
import { keepStatus } from '../keep-status.js';
import { type LinkFactoryOptions, linkFactory } from '../link/link-factories.js';
import { optimiseEarly } from '../optimisation.js';
import type { Run } from '../run.js';
import { TunnelDriver } from '../tunnel-driver.js';
import { openClientLinks } from './client-link.js';
import type { PeerParts } from './compose-client.js';
import type { ComposedPeer } from './peer-tunnel.js';
import { applyPulledSocketOptions } from './pulled-socket-options.js';
import { clientStatistics } from './statistics.js';

/** What one attempt of a client works with, beside the run. */
export interface ClientConnectionOptions {
  /** Holds the modules of the connection while it lasts. */
  readonly context: Context<Options, ComposedPeer>;
  readonly entry: ConnectionEntry;
  /** The addresses to try, as {@link ClientLinkRequest} has them; none: any peer may come. */
  readonly remotes: readonly Endpoint[];
  /** The addresses of `local`; undefined: none is given. */
  readonly locals: readonly ResolvedAddress[] | undefined;
  /** How long an address of the other family waits for the first; NEVER: for its failure. */
  readonly raceDelayMs: number;
  /** This address is tried now, or has won. */
  readonly tried: (remote: Endpoint) => void;
  /** What opens the links of each entry. */
  readonly outer: Omit<LinkFactoryOptions, 'run'>;
  /** Makes the tunnel: with TLS, or with a static key. */
  readonly compose: (parts: PeerParts) => ComposedPeer;
  /** Kept across connections while `--persist-tun` holds. */
  readonly tunnelInterface: TunnelInterface;
  /** Called when the interface is up and the tunnel carries data, with where the peer is. */
  readonly connected: (peer: Endpoint | undefined) => void;
}

/**
 * Connects to one address of one remote and stays until a signal ends it, from inside or outside. The socket and the sessions are
 * gone afterwards; the interface is the caller's. OpenVPN: tunnel_point_to_point().
 *
 * @throws when the socket cannot be opened or the interface not be set up
 */
export async function runConnection(run: Run, connection: ClientConnectionOptions): Promise<SignalInfo> {
  const { options, log, clock, random, unixTime } = run;
  const { entry, remotes, locals, raceDelayMs, tried, tunnelInterface } = connection;
  const say = (line: string): void => log.say(1, line);
  const factory = linkFactory({ run, ...connection.outer }, entry);
  const opened = await openClientLinks(run, { entry, factory, remotes, locals, raceDelayMs, tried });
  if (!opened.ok) return opened.info;
  const { links, addresses } = opened;
  if (run.privileges.pending) {
    say('NOTE: UID/GID downgrade will be delayed because of --client, --pull, or --up-delay');
  }
  const dataPath = new DataPath(options);
  const backend = dataPath.backend();
  const peer = (): Endpoint | undefined => {
    const address = tunnel.peerAddress;
    return address && endpointOf(address);
  };
  const modules = connection.compose({
    options,
    entry,
    addresses,
    raceDelayMs,
    backend,
    flows: (changes) => dataPath.flows(changes),
    random,
    unixTime,
    wake: () => driver.wake(),
    sayImported: (line) => log.say(3, line),
    log: log.events(
      () => '',
      () => ({ from: formatPeer(peer()) }),
    ),
  });
  const { tunnel } = modules;
  const complete = (): void => {
    connection.connected(peer());
    say('Initialization Sequence Completed');
  };
  let configured: Promise<unknown> | undefined;
  const driver: TunnelDriver = new TunnelDriver(run, {
    tunnel,
    tunMtu: entry.tunMtuMax,
    configure: async (imported) => {
      applyPulledSocketOptions(links, imported.pulled, say);
      const bringing = tunnelInterface.bringUp(imported.plan, peer());
      configured = bringing;
      const device = await bringing;
      if (driver.stopped) return;
      optimiseEarly();
      driver.setDevice(device);
      say(dataPath.describe(tunnelInterface.offload, links, backend));
      run.privileges.drop(say);
      if (options.staticKey === undefined) complete();
    },
    established: async () => {
      await configured;
      if (!driver.stopped) complete();
    },
    reconfigure: (imported) => tunnelInterface.update(imported.plan),
  });
  for (const link of links) driver.addLink(link);
  const stopStatus = keepStatus(run, (now) => clientStatistics(tunnel.traffic, now));
  connection.context.openInstance(clock.now(), modules);
  try {
    driver.execute(tunnel.start(clock.now()));
    return await driver.ended;
  } finally {
    const last = peer();
    const which = remotes.find((remote) => last !== undefined && remote.address === last.address);
    if (which !== undefined) tried(which);
    stopStatus();
    driver.stop();
    connection.context.closeInstance()?.tunnel.close();
  }
}

function formatPeer(peer: Endpoint | undefined): string {
  return peer === undefined ? '[AF_UNSPEC]' : formatEndpoint(peer);
}
