import type { ConnectionEntry, Options } from '@openvpnd/config';
import { TlsMulti } from '@openvpnd/control-processor';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import { DEFAULT_RESET_LIMIT, StatelessHandshake } from '@openvpnd/control-wrap';
import { type AeadBackend, DataChannel } from '@openvpnd/data-channel';
import { ExternalMux } from '@openvpnd/external-mux';
import { InternalMux } from '@openvpnd/internal-mux';
import type { Instant, Log, Random } from '@openvpnd/sans-io';
import { MultiContext, TopContext } from '@openvpnd/tunnel-state';
import { ClientAddressing } from './client-addressing.js';
import type { ClientConfigAnswer } from './client-config.js';
import { controlSettings } from './control-settings.js';
import type { ControlWraps } from './control-wraps.js';
import { keyUse } from './install-keys.js';
import { peerSettings, sessionTimeoutMs } from './peer-settings.js';
import type { PeerDescription, ServerPeer } from './server-peer.js';
import { ServerTunnel } from './server-tunnel.js';
import { StreamConnections } from './stream-connections.js';

/** TCP connections on which no client has spoken yet; beside them there are at most --max-clients others. */
export const MAX_SILENT_CONNECTIONS = 4096;

/** The options of a server, and what it needs of the world around it. */
export interface ServerParts {
  readonly options: Options;
  readonly entry: ConnectionEntry;
  readonly engines: TlsEngineFactory;
  readonly wraps: ControlWraps;
  readonly backend: AeadBackend;
  readonly random: Random;
  readonly unixTime: (now: Instant) => number;
  readonly clientConfig: (commonName: string) => ClientConfigAnswer;
  /** Asks the loop for a turn. Never called before the composition is returned. */
  readonly wake: () => void;
  readonly peerLog: (describe: () => PeerDescription) => Log;
  readonly log: Log;
}

/** What a server holds for its whole process: its tunnel, and those of its modules that others ask for their counters. */
export interface ServerModules {
  readonly tunnel: ServerTunnel;
  readonly addressing: ClientAddressing;
  readonly mux: ExternalMux;
  readonly internalMux: InternalMux;
  readonly dataChannel: DataChannel;
}

/** The top context of a server: the options and what all its clients share. OpenVPN: the context with mode CM_TOP. */
export type ComposedServer = TopContext<Options, ServerModules>;

/**
 * Puts a server together from its options. No I/O: what has any is among the parts.
 *
 * @throws OptionValueError for a cipher or digest that does not exist here
 */
export function composeServer(parts: ServerParts): ComposedServer {
  const { options, entry, engines, wraps, random, unixTime } = parts;
  const { server } = options;
  if (server === undefined) throw new TypeError('not the options of a server');
  const maxPeers = server.maxClients;
  const verifiesKeys = options.tls.clientKeyVerify !== undefined;
  const settings = controlSettings(options, entry);
  const addressing = new ClientAddressing(options);
  const mux = new ExternalMux({ random, maxPeers, role: 'server' });
  const internalMux = new InternalMux({ role: 'server', clientToClient: server.clientToClient });
  const dataChannel = new DataChannel({ backend: parts.backend, maxPeers, random });
  const tunnel: ServerTunnel = new ServerTunnel({
    multiContext: new MultiContext<ServerPeer>({ maxInstances: maxPeers, duplicateCommonNames: server.duplicateCn }),
    handshake: new StatelessHandshake({
      wraps: wraps.all,
      random,
      unixTime,
      ...(entry.controlWrap.kind === 'tls-crypt-v2' ? { forceCookie: entry.controlWrap.forceCookie } : {}),
      handshakeWindowSeconds: options.tls.handshakeWindowSeconds,
      resetLimit: {
        ...DEFAULT_RESET_LIMIT,
        replies: server.connectFreqInitial.count,
        periodSeconds: server.connectFreqInitial.seconds,
      },
    }),
    mux,
    internalMux,
    dataChannel,
    createMulti: (slot, metadata, peerLog) =>
      new TlsMulti({
        role: 'server',
        mode: 'p2mp',
        settings: { ...settings, peerId: slot },
        engines,
        wraps: wraps.forClient(verifiesKeys ? metadata : undefined),
        random,
        unixTime,
        wake: () => {
          tunnel.wakePeer(slot);
          parts.wake();
        },
        log: peerLog,
      }),
    streams: new StreamConnections({
      windowMs: options.tls.handshakeWindowSeconds * 1000,
      maxSilent: MAX_SILENT_CONNECTIONS,
    }),
    addressing,
    peer: peerSettings(options),
    sessionTimeoutMs: sessionTimeoutMs(options),
    keyUse: keyUse(options, entry),
    occ: { optionsString: settings.optionsString, tunMtu: entry.tunMtu },
    replayWarnings: options.log.replayWarnings,
    push: server.push,
    clientConfig: parts.clientConfig,
    exitNotify: entry.exitNotify,
    connectFreq: server.connectFreq,
    verifiesKeys,
    peerLog: parts.peerLog,
    log: parts.log,
  });
  return new TopContext({ options, modules: { tunnel, addressing, mux, internalMux, dataChannel } });
}
