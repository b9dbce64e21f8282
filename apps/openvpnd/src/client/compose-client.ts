import type { ConnectionEntry, Options } from '@openvpnd/config';
import { TlsMulti } from '@openvpnd/control-processor';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import { type AeadBackend, type AeadLimits, DataChannel, type FlowOffload } from '@openvpnd/data-channel';
import { ExternalMux } from '@openvpnd/external-mux';
import { InternalMux } from '@openvpnd/internal-mux';
import { epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import { ChangeCount, type LinkAddress } from '@openvpnd/memory';
import type { Instant, Log, Random } from '@openvpnd/sans-io';
import { controlSettings, isPointToPoint } from '../control-settings.js';
import type { ControlWraps } from '../control-wraps.js';
import { sessionTimeoutMs } from '../peer-settings.js';
import type { ClientCredentials } from './client-credentials.js';
import { ClientTunnel } from './client-tunnel.js';
import { OccExchange } from './occ-exchange.js';
import { PeerPaths } from './peer-paths.js';
import type { ComposedPeer } from './peer-tunnel.js';
import { Pull } from './pull.js';

/** The options of a client or of one of two points, and what one connection needs of the world around it. */
export interface PeerParts {
  readonly options: Options;
  readonly entry: ConnectionEntry;
  /** Where the peer is or may be, each through a link of its own; none: anywhere. As {@link PeerPaths} has it. */
  readonly addresses: readonly LinkAddress[];
  /** How long the second address waits for an answer from the first. */
  readonly raceDelayMs: number;
  readonly backend: AeadBackend;
  /** Makes what carries packets that come alone, for keys of that backend; absent: nothing does. */
  readonly flows?: (changes: ChangeCount) => FlowOffload | undefined;
  /** Other limits of a key than the real ones, for simulations. */
  readonly aeadLimits?: AeadLimits;
  readonly random: Random;
  readonly unixTime: (now: Instant) => number;
  /** Asks the loop for a turn. Never called before the composition is returned. */
  readonly wake: () => void;
  /** Gets the lines about what the server pushed. */
  readonly sayImported: (line: string) => void;
  readonly log: Log;
}

/** What TLS needs beside that. */
export interface ClientParts extends PeerParts {
  readonly engines: TlsEngineFactory;
  readonly wraps: ControlWraps;
  readonly credentials: ClientCredentials;
}

/** One connection of a client, and those of its modules that others ask for their counters. */
export interface ComposedClient extends ComposedPeer {
  readonly tunnel: ClientTunnel;
}

/**
 * Puts one connection of a client together from its options. No I/O: what has any is among the parts.
 *
 * @throws OptionValueError for a cipher or digest that does not exist here
 */
export function composeClient(parts: ClientParts): ComposedClient {
  const { options, entry, engines, wraps, credentials, random, unixTime, wake, log } = parts;
  const pointToPoint = isPointToPoint(options);
  const settings = controlSettings(options, entry, credentials.current);
  const changes = new ChangeCount();
  const mux = new ExternalMux({ random, maxPeers: 1, role: 'client', float: entry.float, changes });
  const internalMux = new InternalMux({ role: 'client', changes });
  const dataChannel = new DataChannel({
    backend: parts.backend,
    flows: parts.flows?.(changes),
    maxPeers: 1,
    random,
    epochDerivation: { nextEpochSecret, epochDataKey },
    ...(parts.aeadLimits && { aeadLimits: parts.aeadLimits }),
  });
  const tunnel = new ClientTunnel({
    passTos: options.link.passTos,
    multi: new TlsMulti({
      role: options.tls.role,
      mode: pointToPoint ? 'p2p' : 'p2mp',
      settings,
      engines,
      wraps: wraps.all,
      random,
      unixTime,
      wake,
      log,
    }),
    dataChannel,
    mux,
    internalMux,
    paths: new PeerPaths({
      mux,
      addresses: parts.addresses,
      raceDelayMs: parts.raceDelayMs,
      // The TLS server follows its client: if both followed, they would swap for ever.
      afterwards: pointToPoint ? (options.tls.role === 'server' ? 'follow' : 'lead') : 'close',
    }),
    stream: entry.protocol.transport === 'tcp',
    pull: new Pull({ options, entry, credentials, say: parts.sayImported }),
    refusal: { credentials, retryAfterAuthFailure: options.client?.authRetry === 'nointeract', log },
    silenceNeedsPeer: options.ping.onlyWithRemote,
    occ: new OccExchange({
      // Key exchange tells each end the other's options.
      optionsString: settings.optionsString,
      tunMtu: entry.tunMtu,
      mtuTest: options.link.mtuTest,
      fragment: entry.fragment !== undefined,
      counters: () => dataChannel.counters(0),
      log,
    }),
    replayWarnings: options.log.replayWarnings,
    pointToPoint,
    sessionTimeoutMs: sessionTimeoutMs(options),
    connectTimeoutMs: entry.connectTimeoutSeconds * 1000,
    exitNotify: entry.exitNotify,
    allowRecursiveRouting: options.routes.allowRecursive,
    log,
  });
  return { tunnel, mux, internalMux, dataChannel };
}
