import { connectionEntries } from './connection-entries.js';
import { findContradiction, findSuspicions } from './consistency.js';
import type { Draft } from './draft.js';
import { formatIpv4 } from './ipv4.js';
import { formatIpv6 } from './ipv6.js';
import { listenerEntries } from './listener-entries.js';
import { expandMacros } from './macros.js';
import type { CompressionOptions } from './options/compression-options.js';
import type { PingOptions } from './options/connection-entry.js';
import type { DeviceOptions, RouteOptions } from './options/device-options.js';
import type { Options } from './options/options.js';
import type { ClientOptions, ServerOptions } from './options/server-options.js';
import type { DataChannelOptions, TlsOptions } from './options/tls-options.js';
import { familyProblem } from './outer-family.js';

/** `data-ciphers` of OpenVPN 2.6 when none is given. */
export const DEFAULT_DATA_CIPHERS = 'AES-256-GCM:AES-128-GCM:CHACHA20-POLY1305';

/** Options and notes for the log, or OpenVPN's sentence about what is missing or contradicts. */
export type Finished =
  | { readonly ok: true; readonly options: Options; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly reason: string };

/** Makes options of a draft: macros, defaults of OpenVPN 2.6, checks. The draft is used up. */
export function finishOptions(draft: Draft): Finished {
  const macroProblem = expandMacros(draft);
  if (macroProblem !== undefined) return { ok: false, reason: macroProblem };
  const listeners = draft.mode === 'server' ? listenerEntries(draft) : [];
  const connections = draft.mode === 'server' ? listeners : connectionEntries(draft);
  const problem = familyProblem(draft) ?? findContradiction(draft, connections, listeners);
  if (problem !== undefined) return { ok: false, reason: problem };
  const warnings = [...draft.warnings, ...findSuspicions(draft, connections, listeners), ...cipherNotes(draft)];
  const options: Options = {
    mode: draft.mode ?? 'p2p',
    process: {
      directory: draft.directory,
      pidFile: draft.pidFile,
      scriptSecurity: draft.scriptSecurity ?? 1,
      persistTun: draft.persistTun ?? false,
      user: draft.user,
      group: draft.group,
      nice: draft.nice,
      environment: draft.environment,
    },
    log: {
      verbosity: draft.verbosity ?? 1,
      mute: draft.mute ?? 0,
      file: draft.logFile,
      timestamps: !draft.suppressTimestamps,
      replayWarnings: !draft.muteReplayWarnings,
      status: draft.status,
      statusVersion: draft.statusVersion ?? 1,
    },
    link: {
      remoteRandom: draft.remoteRandom ?? false,
      remoteRandomHostname: draft.remoteRandomHostname ?? false,
      persistLocalIp: draft.persistLocalIp ?? false,
      persistRemoteIp: draft.persistRemoteIp ?? false,
      resolveRetrySeconds: draft.resolveRetrySeconds ?? Number.POSITIVE_INFINITY,
      connectRetryMax: draft.connectRetryMax || Number.POSITIVE_INFINITY,
      tcpQueueLimit: draft.tcpQueueLimit ?? 64,
      passTos: draft.passTos ?? false,
      mtuTest: draft.mtuTest ?? false,
    },
    connections,
    listeners,
    ping: finishPing(draft),
    device: finishDevice(draft),
    routes: finishRoutes(draft),
    dns: { dhcpOptions: draft.dhcpOptions, settings: draft.dnsSettings },
    tls: finishTls(draft),
    staticKey: draft.staticKey && { source: draft.staticKey, direction: draft.entry.keyDirection },
    dataChannel: finishDataChannel(draft),
    server: draft.mode === 'server' ? finishServer(draft) : undefined,
    client: draft.pull ? finishClient(draft) : undefined,
  };
  return { ok: true, options: deepFreeze(options), warnings };
}

/** Freezes a value with everything in it. */
export function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) deepFreeze(part);
  }
  return value;
}

function finishPing(draft: Draft): PingOptions {
  return {
    sendSeconds: draft.pingSeconds ?? 0,
    timeout: draft.pingTimeout === undefined || draft.pingTimeout.seconds === 0 ? undefined : draft.pingTimeout,
    onlyWithRemote: draft.pingTimerRemote ?? false,
    inactive: draft.inactive,
    sessionTimeoutSeconds: draft.sessionTimeoutSeconds,
  };
}

function finishDevice(draft: Draft): DeviceOptions {
  return {
    name: draft.dev ?? 'tun',
    type: 'tun',
    node: draft.devNode,
    txQueueLength: draft.txQueueLength,
    topology: draft.topology ?? 'net30',
    ifconfig: draft.ifconfig,
    ifconfigIpv6: draft.ifconfigIpv6,
    ifconfigNoexec: draft.ifconfigNoexec ?? false,
    ifconfigNowarn: draft.ifconfigNowarn ?? false,
  };
}

function finishRoutes(draft: Draft): RouteOptions {
  return {
    allowRecursive: draft.allowRecursiveRouting ?? false,
    routes: draft.routes,
    routesIpv6: draft.routesIpv6,
    gateway: draft.routeGateway,
    gatewayIpv6: draft.routeGatewayIpv6,
    metric: draft.routeMetric,
    delay: draft.routeDelay,
    noexec: draft.routeNoexec ?? false,
    redirect: draft.redirect,
  };
}

function finishTls(draft: Draft): TlsOptions {
  const { files } = draft;
  return {
    role: draft.tlsServer ? 'server' : 'client',
    ca: files.ca,
    cert: files.cert,
    key: files.key,
    extraCerts: files['extra-certs'],
    pkcs12: files.pkcs12,
    dh: draft.tlsServer ? files.dh : undefined,
    crl: files['crl-verify'],
    versionMin: draft.versionMin ?? '1.2',
    versionMax: draft.versionMax,
    cipherList: draft.cipherList,
    cipherSuites: draft.cipherSuites,
    groups: draft.groups,
    remoteCertTls: draft.remoteCertTls,
    remoteCertKu: draft.remoteCertKu,
    remoteCertEku: draft.remoteCertEku,
    verifyX509Name: draft.verifyX509Name,
    retransmitSeconds: draft.retransmitSeconds ?? 2,
    handshakeWindowSeconds: draft.handshakeWindowSeconds ?? 60,
    transitionWindowSeconds: draft.transitionWindowSeconds ?? 3600,
    renegotiation: {
      maxSeconds: draft.renegSeconds?.max ?? 3600,
      minSeconds: draft.renegSeconds?.min,
      bytes: draft.renegBytes,
      packets: draft.renegPackets ?? 0,
    },
    pushPeerInfo: draft.pushPeerInfo ?? false,
    singleSession: draft.singleSession ?? false,
    clientKeyVerify: draft.tlsCryptV2Verify,
    clientKeyMaxAgeDays: draft.tlsCryptV2MaxAgeDays,
  };
}

function finishDataChannel(draft: Draft): DataChannelOptions {
  return {
    dataCiphers: draft.dataCiphers ?? DEFAULT_DATA_CIPHERS,
    dataCiphersFallback: draft.dataCiphersFallback,
    cipher: draft.cipher,
    auth: draft.auth ?? 'SHA1',
    replayWindow: draft.replayWindow ?? { packets: 64, seconds: 15 },
    compression: finishCompression(draft),
  };
}

/** Who says nothing about compression wants none. OpenVPN 2.6: options_set_backwards_compatible_options(). */
function finishCompression({ compression, allowCompression }: Draft): CompressionOptions {
  const stubsOnly = allowCompression === 'no' || (allowCompression === undefined && compression === undefined);
  return {
    algorithm: compression?.algorithm,
    migrate: compression?.migrate ?? false,
    stubsOnly,
    advertiseStubsOnly: stubsOnly || (compression?.advertiseStubsOnly ?? false),
  };
}

function finishServer(draft: Draft): ServerOptions {
  const { pool, poolIpv6 } = draft;
  return {
    pool:
      pool === undefined
        ? undefined
        : {
            start: formatIpv4(pool.start),
            end: formatIpv4(pool.end),
            netmask: pool.netmask === undefined ? undefined : formatIpv4(pool.netmask),
          },
    poolIpv6: poolIpv6 === undefined ? undefined : { start: formatIpv6(poolIpv6.start), bits: poolIpv6.bits },
    poolPersist: draft.poolPersist,
    push: draft.push,
    clientConfigDir: draft.clientConfigDir,
    ccdExclusive: draft.ccdExclusive ?? false,
    clientToClient: draft.clientToClient ?? false,
    duplicateCn: draft.duplicateCn ?? false,
    maxClients: draft.entry.maxClients ?? 1024,
    passwordVerify: draft.passwordVerify,
    authGenToken: draft.authGenToken && {
      ...draft.authGenToken,
      renewalSeconds: draft.authGenToken.renewalSeconds ?? draft.renegSeconds?.max ?? 3600,
      secret: draft.files['auth-gen-token-secret'],
    },
    connectFreq: draft.entry.connectFreq,
    connectFreqInitial: draft.entry.connectFreqInitial ?? { count: 100, seconds: 10 },
  };
}

function finishClient(draft: Draft): ClientOptions {
  return {
    routeNopull: draft.routeNopull ?? false,
    pullFilters: draft.pullFilters,
    authUserPass: draft.files['auth-user-pass'],
    authRetry: draft.authRetry ?? 'none',
    authNocache: draft.authNocache ?? false,
  };
}

/** `cipher` alone chooses nothing since 2.6: who set it should know. */
function cipherNotes(draft: Draft): readonly string[] {
  // With a static key it does choose.
  if (draft.staticKey !== undefined) return [];
  const list = draft.dataCiphers ?? DEFAULT_DATA_CIPHERS;
  const { cipher } = draft;
  const listed = cipher === undefined || list.toUpperCase().split(':').includes(cipher.toUpperCase());
  return listed
    ? []
    : [
        `DEPRECATED OPTION: --cipher set to '${cipher}' but missing in --data-ciphers (${list}). OpenVPN ignores --cipher for cipher negotiations. `,
      ];
}
