import type { Frequency, Listener, Options } from '@openvpnd/config';
import { TlsMulti } from '@openvpnd/control-processor';
import type { TlsEngineFactory } from '@openvpnd/control-tls';
import { DEFAULT_RESET_LIMIT, ResetLimit, type ResetLimitOptions, StatelessHandshake } from '@openvpnd/control-wrap';
import { type AeadBackend, type AeadLimits, DataChannel, type FlowOffload } from '@openvpnd/data-channel';
import { ExternalMux } from '@openvpnd/external-mux';
import { InternalMux } from '@openvpnd/internal-mux';
import { epochDataKey, nextEpochSecret } from '@openvpnd/keygen';
import { ChangeCount } from '@openvpnd/memory';
import type { Instant, Log, Random } from '@openvpnd/sans-io';
import { MultiContext, TopContext } from '@openvpnd/tunnel-state';
import { controlSettings } from '../control-settings.js';
import type { ControlWraps } from '../control-wraps.js';
import { keyUse } from '../install-keys.js';
import { peerSettings, sessionTimeoutMs } from '../peer-settings.js';
import { ClientAddressing } from './client-addressing.js';
import type { PasswordPolicy } from './client-admission.js';
import type { ClientConfigAnswer } from './client-config.js';
import { FrequencyLimit } from './frequency-limit.js';
import type { ServerListener } from './server-listener.js';
import type { PeerDescription, ServerPeer } from './server-peer.js';
import { ServerTunnel } from './server-tunnel.js';
import { StreamConnections } from './stream-connections.js';

/** TCP connections on which no client has spoken yet; beside them there are at most --max-clients others. */
export const MAX_SILENT_CONNECTIONS = 4096;

/** The options of a server, and what it needs of the world around it. */
export interface ServerParts {
  readonly options: Options;
  readonly engines: TlsEngineFactory;
  /** Of each listener of the options, in their order. */
  readonly wraps: readonly ControlWraps[];
  readonly backend: AeadBackend;
  /** Makes what carries packets that come alone, for keys of that backend; absent: nothing does. */
  readonly flows?: (changes: ChangeCount) => FlowOffload | undefined;
  /** Other limits of a key than the real ones, for simulations. */
  readonly aeadLimits?: AeadLimits;
  readonly random: Random;
  readonly unixTime: (now: Instant) => number;
  readonly clientConfig: (commonName: string) => ClientConfigAnswer;
  /** Absent: no passwords are asked for. */
  readonly passwords?: PasswordPolicy;
  /** Asks the loop for a turn. Never called before the composition is returned. */
  readonly wake: () => void;
  /** Told how many clients are connected, whenever that changes. */
  readonly connected?: (clients: number) => void;
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
  const { options, engines, random, unixTime } = parts;
  const { server } = options;
  if (server === undefined) throw new TypeError('not the options of a server');
  const maxPeers = server.maxClients;
  const verifiesKeys = options.tls.clientKeyVerify !== undefined;
  const addressing = new ClientAddressing(options);
  const changes = new ChangeCount();
  const mux = new ExternalMux({ random, maxPeers, role: 'server', changes });
  const internalMux = new InternalMux({ role: 'server', clientToClient: server.clientToClient, changes });
  const dataChannel = new DataChannel({
    backend: parts.backend,
    flows: parts.flows?.(changes),
    maxPeers,
    random,
    epochDerivation: { nextEpochSecret, epochDataKey },
    ...(parts.aeadLimits && { aeadLimits: parts.aeadLimits }),
  });
  const { connectFreq } = server;
  const sharedConnects = connectFreq === undefined ? undefined : new FrequencyLimit(connectFreq);
  const sharedResets = new ResetLimit(resetLimit(server.connectFreqInitial), random);
  const composeListener = (listener: Listener, wraps: ControlWraps): ServerListener => {
    const settings = controlSettings(options, listener);
    const { controlWrap, connectFreqInitial } = listener;
    return {
      tag: listener.tag,
      handshake: new StatelessHandshake({
        wraps: wraps.all,
        random,
        unixTime,
        ...(controlWrap.kind === 'tls-crypt-v2' ? { forceCookie: controlWrap.forceCookie } : {}),
        handshakeWindowSeconds: options.tls.handshakeWindowSeconds,
        resetLimit:
          connectFreqInitial === undefined ? sharedResets : new ResetLimit(resetLimit(connectFreqInitial), random),
      }),
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
      connectLimit: connectLimitOf(listener, sharedConnects),
      maxClients: listener.maxClients ?? Number.POSITIVE_INFINITY,
      occ: { optionsString: settings.optionsString, tunMtu: listener.tunMtu },
      exitNotify: listener.exitNotify,
    };
  };
  const tunnel: ServerTunnel = new ServerTunnel({
    passTos: options.link.passTos,
    multiContext: new MultiContext<ServerPeer>({ maxInstances: maxPeers, duplicateCommonNames: server.duplicateCn }),
    mux,
    internalMux,
    dataChannel,
    listeners: options.listeners.map((listener, index) => composeListener(listener, parts.wraps[index])),
    streams: new StreamConnections({
      windowMs: options.tls.handshakeWindowSeconds * 1000,
      maxSilent: MAX_SILENT_CONNECTIONS,
    }),
    addressing,
    peer: peerSettings(options),
    sessionTimeoutMs: sessionTimeoutMs(options),
    keyUse: keyUse(options, options.listeners[0]),
    replayWarnings: options.log.replayWarnings,
    push: server.push,
    clientConfig: parts.clientConfig,
    ...(parts.passwords === undefined ? {} : { passwords: parts.passwords }),
    unixTime,
    verifiesKeys,
    ...(parts.connected === undefined ? {} : { connected: parts.connected }),
    peerLog: parts.peerLog,
    log: parts.log,
  });
  return new TopContext({ options, modules: { tunnel, addressing, mux, internalMux, dataChannel } });
}

/** A connection costs its maker more than a datagram: --connect-freq is for UDP. */
function connectLimitOf(listener: Listener, shared: FrequencyLimit | undefined): FrequencyLimit | undefined {
  if (listener.protocol.transport !== 'udp') return undefined;
  return listener.connectFreq === undefined ? shared : new FrequencyLimit(listener.connectFreq);
}

function resetLimit({ count, seconds }: Frequency): ResetLimitOptions {
  return { ...DEFAULT_RESET_LIMIT, replies: count, periodSeconds: seconds };
}
