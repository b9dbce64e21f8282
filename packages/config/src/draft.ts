import type { KeyType } from './key-request.js';
import type { CompressionAlgorithm } from './options/compression-options.js';
import type { MtuDiscovery } from './options/connection-entry.js';
import type {
  DhcpOption,
  Ifconfig,
  IfconfigIpv6,
  RedirectGateway,
  Route,
  RouteIpv6,
  Topology,
} from './options/device-options.js';
import type { FileSource } from './options/file-source.js';
import type { EnvironmentVariable } from './options/process-options.js';
import type { PortShareOptions, TransportOptions } from './options/proxy-options.js';
import type { Frequency, PullFilter } from './options/server-options.js';
import type { TlsVersion } from './options/tls-options.js';
import type { Protocol } from './protocol.js';
import type { Origin, Statement } from './statement.js';

/** Link options as written so far, outside of or inside a `<connection>` or `<listen>` block. Absent: not given. */
export interface EntryDraft {
  protocol?: Protocol;
  remote?: RemoteDraft;
  /** `rport` or `port`: for a remote that names none. */
  remotePort?: number;
  /** The last `local`: what counts where only one can. */
  local?: LocalDraft;
  /** Where the `<listen>` block begins. */
  origin?: Origin;
  /** All of them: a server listens at each. */
  locals?: readonly LocalDraft[];
  /** `lport`, which implies binding. */
  localPort?: number;
  /** `port`: for the local end too, but it implies nothing. */
  sharedPort?: number;
  bind?: { ipv6Only: boolean };
  nobind?: boolean;
  float?: boolean;
  raceMs?: number | 'off';
  retrySeconds?: number;
  retryMaxSeconds?: number;
  connectTimeoutSeconds?: number;
  tunMtu?: number;
  occMtu?: number;
  /** `default`: mssfix without a number. */
  mssFix?: { bytes: number; basis: 'outer' | 'payload' | 'fixed' } | 'default';
  fragment?: { bytes: number; basis: 'outer' | 'payload' };
  tunMtuMax?: number;
  maxControlPacketBytes?: number;
  exitNotify?: number;
  tlsAuth?: FileSource;
  tlsCrypt?: FileSource;
  tlsCryptV2?: { key: FileSource; forceCookie: boolean };
  keyDirection?: 0 | 1;
  sendBufferBytes?: number;
  receiveBufferBytes?: number;
  noDelay?: boolean;
  mark?: number;
  bindDevice?: string;
  mtuDiscovery?: MtuDiscovery;
  multihome?: 'any-interface' | 'same-interface';
  maxClients?: number;
  connectFreq?: Frequency;
  connectFreqInitial?: Frequency;
  bindPolicy?: 'any' | 'all';
  backlog?: number;
  tag?: string;
  httpProxy?: HttpProxyDraft;
  /** `http-proxy-user-pass`. */
  httpProxyLogin?: FileSource;
  httpProxyVersion?: string;
  httpProxyAgent?: string;
  httpProxyHeaders?: readonly string[];
  socksProxy?: { host: string; port: number; login?: FileSource };
  transport?: TransportOptions;
  portShare?: PortShareOptions;
}

/** `http-proxy`, with the file that it names. */
export interface HttpProxyDraft {
  host: string;
  port: number;
  method: 'none' | 'basic' | 'ntlm2' | 'auto' | 'auto-nct';
  login?: FileSource;
}

/** One `local`. */
export interface LocalDraft {
  /** Undefined: all addresses. */
  host: string | undefined;
  port: number | undefined;
  protocol: Protocol | undefined;
  origin: Origin;
}

/** One `remote`. */
export interface RemoteDraft {
  host: string;
  port: number | undefined;
  protocol: Protocol | undefined;
}

/** Marks what `push-reset`, `push-remove` and `push` of a client-config file do to the list, in order. */
export type PushEdit =
  | { readonly edit: 'reset' }
  | { readonly edit: 'remove'; readonly prefix: string }
  | { readonly edit: 'push'; readonly option: string };

/** A `server` line. */
interface ServerDraft {
  network: number;
  netmask: number;
  pool: boolean;
}

/**
 * What the statements say, before macros and defaults. Absent means that nobody said anything, which is not the same
 * as a default: macros and checks ask for it.
 */
export interface Draft {
  // Top level and process
  mode?: 'p2p' | 'server';
  client?: boolean;
  pull?: boolean;
  tlsClient?: boolean;
  tlsServer?: boolean;
  directory?: string;
  pidFile?: string;
  scriptSecurity?: number;
  persistTun?: boolean;
  user?: string;
  group?: string;
  nice?: number;
  environment: EnvironmentVariable[];
  forwardCompatible?: boolean;
  ignoredOptions: Set<string>;
  // Log
  verbosity?: number;
  mute?: number;
  logFile?: { path: string; append: boolean };
  suppressTimestamps?: boolean;
  status?: { path: string; seconds: number };
  statusVersion?: 1 | 2 | 3 | 4;
  muteReplayWarnings?: boolean;
  // Link
  entry: EntryDraft;
  remotes: RemoteDraft[];
  /** `<connection>`. */
  blocks: EntryDraft[];
  /** `<listen>`. */
  listens: EntryDraft[];
  remoteRandom?: boolean;
  remoteRandomHostname?: boolean;
  persistLocalIp?: boolean;
  persistRemoteIp?: boolean;
  protoForce?: 'udp' | 'tcp';
  /** `ipv4`, `ipv6`. */
  outerFamilies: Set<4 | 6>;
  resolveRetrySeconds?: number;
  connectRetryMax?: number;
  tcpNoDelayMacro?: boolean;
  tcpQueueLimit?: number;
  passTos?: boolean;
  mtuTest?: boolean;
  keepalive?: { interval: number; timeout: number };
  pingSeconds?: number;
  pingTimeout?: { seconds: number; action: 'restart' | 'exit' };
  pingTimerRemote?: boolean;
  inactive?: { seconds: number; bytes: number };
  sessionTimeoutSeconds?: number;
  replayWindow?: { packets: number; seconds: number };
  // Device and routes
  dev?: string;
  devType?: 'tun' | 'tap';
  devNode?: string;
  txQueueLength?: number;
  topology?: Topology;
  ifconfig?: Ifconfig;
  ifconfigIpv6?: IfconfigIpv6;
  ifconfigNoexec?: boolean;
  ifconfigNowarn?: boolean;
  routes: Route[];
  routesIpv6: RouteIpv6[];
  routeGateway?: string;
  routeGatewayIpv6?: string;
  routeMetric?: number;
  routeDelay?: { seconds: number; windowSeconds: number };
  routeNoexec?: boolean;
  redirect?: RedirectGateway;
  dhcpOptions: DhcpOption[];
  dnsSettings: (readonly string[])[];
  // TLS
  files: Partial<
    Record<
      | 'ca'
      | 'cert'
      | 'key'
      | 'extra-certs'
      | 'pkcs12'
      | 'dh'
      | 'crl-verify'
      | 'auth-user-pass'
      | 'auth-gen-token-secret',
      FileSource
    >
  >;
  dhNone?: boolean;
  versionMin?: TlsVersion;
  versionMax?: TlsVersion;
  cipherList?: string;
  cipherSuites?: string;
  groups?: string;
  remoteCertTls?: 'client' | 'server';
  remoteCertKu?: number[];
  remoteCertEku?: string;
  verifyX509Name?: { name: string; type: 'subject' | 'name' | 'name-prefix' };
  retransmitSeconds?: number;
  handshakeWindowSeconds?: number;
  transitionWindowSeconds?: number;
  renegSeconds?: { max: number; min: number | undefined };
  renegBytes?: number;
  renegPackets?: number;
  pushPeerInfo?: boolean;
  singleSession?: boolean;
  allowRecursiveRouting?: boolean;
  genkey?: { type: KeyType; path: string | undefined; metadata: string | undefined };
  tlsCryptV2Verify?: string;
  tlsCryptV2MaxAgeDays?: number;
  authRetry?: 'none' | 'nointeract';
  authNocache?: boolean;
  passwordVerify?: { command: string; method: 'via-env' | 'via-file' };
  authGenToken?: { lifetimeSeconds: number; renewalSeconds: number | undefined; externalAuth: boolean };
  // Data channel
  dataCiphers?: string;
  dataCiphersFallback?: string;
  /** `secret`. */
  staticKey?: FileSource;
  allowStaticKey?: boolean;
  cipher?: string;
  auth?: string;
  compression?: { algorithm: CompressionAlgorithm | undefined; migrate: boolean; advertiseStubsOnly: boolean };
  allowCompression?: 'no' | 'asym' | 'yes';
  // Server
  server?: ServerDraft;
  serverIpv6?: { network: bigint; bits: number };
  pool?: { start: number; end: number; netmask: number | undefined };
  poolIpv6?: { start: bigint; bits: number };
  poolPersist?: { path: string; seconds: number };
  push: string[];
  clientConfigDir?: string;
  ccdExclusive?: boolean;
  clientToClient?: boolean;
  duplicateCn?: boolean;
  // Client
  routeNopull?: boolean;
  pullFilters: PullFilter[];
  // One client of a server
  pushEdits: PushEdit[];
  ifconfigPush?: Ifconfig & { alias: string | undefined };
  ifconfigIpv6Push?: { local: string; bits: number; remote: string | undefined };
  iroutes: { network: string; netmask: string }[];
  iroutesIpv6: { network: string; bits: number }[];
  disable?: boolean;
  // Pushed by protocol
  peerId?: number;
  authToken?: string;
  authTokenUser?: string;
  keyDerivation?: 'tls-ekm';
  protocolFlags?: string[];
  pushContinuation?: number;
  /** Where each option stood last, for messages about contradictions. */
  seen: Map<string, Origin>;
  warnings: string[];
}

/** Takes a statement that the option table found good into the draft. Returns why not, without place. */
export type Handler = (draft: Draft, statement: Statement) => string | undefined;

/** Handlers by option name. */
export type Handlers = Readonly<Record<string, Handler>>;

/** A draft of which nothing is known. */
export function emptyDraft(): Draft {
  return {
    environment: [],
    ignoredOptions: new Set(),
    outerFamilies: new Set(),
    entry: {},
    remotes: [],
    blocks: [],
    listens: [],
    routes: [],
    routesIpv6: [],
    dhcpOptions: [],
    dnsSettings: [],
    files: {},
    push: [],
    pullFilters: [],
    pushEdits: [],
    iroutes: [],
    iroutesIpv6: [],
    seen: new Map(),
    warnings: [],
  };
}
