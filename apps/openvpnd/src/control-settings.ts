import { createHash, getHashes } from 'node:crypto';
import type { ConnectionEntry, Options } from '@openvpnd/config';
import {
  type ControlSettings,
  canonicalCipher,
  expandDefaultCiphers,
  expectedOptionsString,
  normaliseCiphers,
  type OptionsStringInput,
  optionsString,
  ownIvProto,
  ownPeerInfo,
  type PeerPolicy,
  remoteCertTls,
} from '@openvpnd/control-processor';
import { findHmacDigest } from '@openvpnd/data-channel';
import { findDataCipher } from '@openvpnd/keygen';
import type { Credentials } from './host/credentials.js';
import { OPENVPN_VERSION } from './version.js';

/** An option value that only turns out to be wrong when it meets what this build can do. The message is complete. */
export class OptionValueError extends Error {
  readonly code = 'ERR_OPTION_VALUE';
  override readonly name = 'OptionValueError';
}

const SCHEDULED_EXIT_MS = 5000;
/** --tls-timeout when nobody sets it. */
const DEFAULT_RETRANSMIT_SECONDS = 2;

/**
 * What the control channel works by, from the options.
 *
 * @throws OptionValueError for a cipher or digest that does not exist here
 */
export function controlSettings(options: Options, entry: ConnectionEntry, credentials?: Credentials): ControlSettings {
  const { tls, dataChannel } = options;
  const { renegotiation } = tls;
  const isServer = options.mode === 'server';
  const ciphers = normaliseCiphers(expandDefaultCiphers(dataChannel.dataCiphers));
  if (!ciphers.ok) {
    throw new OptionValueError(
      `--data-ciphers ${dataChannel.dataCiphers}: ${ciphers.reason}; allowed are AES-128-GCM, AES-192-GCM, AES-256-GCM, CHACHA20-POLY1305, AES-128-CBC, AES-192-CBC, AES-256-CBC and none`,
    );
  }
  const fallback = fallbackCipher(dataChannel.dataCiphersFallback);
  checkAuth(dataChannel.auth, fallback === undefined ? ciphers.value : [...ciphers.value, fallback]);
  const strings = optionsStringInput(options, entry, ciphers.value);
  const pointToPoint = isPointToPoint(options);
  const ivProto = ownIvProto(pointToPoint ? 'p2p' : 'p2mp', { exporter: true });
  const peerInfo = ownPeerInfo({
    level: isServer ? 0 : tls.pushPeerInfo ? 3 : pointToPoint ? 1 : 2,
    version: OPENVPN_VERSION,
    platform: 'linux',
    tunMtuMax: entry.tunMtuMax,
    dataCiphers: ciphers.value,
    ivProto,
    compression: dataChannel.compression.advertiseStubsOnly ? 'stub' : 'all',
    environment: new Map(options.process.environment.map(({ name, value }) => [name, value])),
  });
  return {
    handWindowMs: tls.handshakeWindowSeconds * 1000,
    tranWindowMs: tls.transitionWindowSeconds * 1000,
    renegMs: renegotiation.maxSeconds * 1000,
    ...(renegotiation.minSeconds === undefined ? {} : { renegMinMs: renegotiation.minSeconds * 1000 }),
    // At its default the round trip decides, which is faster and as legal on the wire.
    ...(tls.retransmitSeconds === DEFAULT_RETRANSMIT_SECONDS ? {} : { tlsTimeoutMs: tls.retransmitSeconds * 1000 }),
    maxPacketBytes: entry.maxControlPacketBytes,
    optionsString: optionsString(strings),
    expectedOptionsString: expectedOptionsString(strings),
    dataCiphers: ciphers.value,
    ...(fallback === undefined ? {} : { fallbackCipher: fallback }),
    ...(dataChannel.compression.migrate ? { compressMigrate: true } : {}),
    ...(peerInfo === undefined ? {} : { peerInfo }),
    ivProto,
    pull: options.client !== undefined,
    ...(credentials === undefined ? {} : { credentials }),
    peerPolicy: peerPolicy(options),
    tunMtu: entry.tunMtu,
    singleSession: tls.singleSession,
    scheduledExitMs: SCHEDULED_EXIT_MS,
  };
}

function fallbackCipher(name: string | undefined): string | undefined {
  if (name === undefined) return undefined;
  const cipher = canonicalCipher(name);
  if (cipher === undefined) throw new OptionValueError(`--data-ciphers-fallback ${name}: Cipher ${name} not supported`);
  return cipher;
}

/**
 * Ciphers that are no AEAD need a digest that the data channel knows; tls-auth takes any.
 *
 * @throws OptionValueError for a digest that one of these ciphers would need and the data channel does not know
 */
export function checkAuth(auth: string, ciphers: readonly string[]): void {
  if (auth === 'none' || findHmacDigest(auth) !== undefined) return;
  const needy = ciphers.find((name) => findDataCipher(name)?.kind !== 'aead');
  if (needy !== undefined) {
    throw new OptionValueError(
      `--auth ${auth} is not supported with ${needy}; SHA1, SHA256, SHA384 and SHA512 are usual`,
    );
  }
}

/** What the options strings of both ends are made of. */
export function optionsStringInput(
  options: Options,
  entry: ConnectionEntry,
  dataCiphers: readonly string[],
): OptionsStringInput {
  const { auth, cipher } = options.dataChannel;
  const { controlWrap } = entry;
  const shared = controlWrap.kind === 'tls-crypt-v2' ? controlWrap.beside : controlWrap;
  const { algorithm } = options.dataChannel.compression;
  const { staticKey } = options;
  const keyDirection = staticKey?.direction ?? (shared.kind === 'tls-auth' ? shared.direction : undefined);
  return {
    role: staticKey === undefined ? options.tls.role : 'secret',
    pointToPoint: isPointToPoint(options),
    ...pointToPointAddresses(options),
    deviceType: 'tun',
    tunMtu: entry.occMtu,
    protocol:
      entry.protocol.transport === 'udp' ? 'udp' : entry.protocol.side === 'server' ? 'tcp-server' : 'tcp-client',
    ...(cipher === undefined ? {} : { cipher }),
    dataCiphers,
    auth: findHmacDigest(auth)?.name ?? auth,
    digestBytes: digestBytes(auth),
    ...(algorithm === undefined ? {} : { compression: algorithm.endsWith('-v2') ? 'v2' : 'prefix' }),
    fragment: entry.fragment !== undefined,
    tlsAuth: shared.kind === 'tls-auth',
    ...(keyDirection === undefined ? {} : { keyDirection }),
  };
}

/** Whether two peers connect of which neither pulls: `tls-client` or `tls-server` alone. */
export function isPointToPoint(options: Options): boolean {
  return options.mode === 'p2p' && options.client === undefined;
}

/** What the options string of a point-to-point peer tells about its device. */
function pointToPointAddresses({ device }: Options): Pick<OptionsStringInput, 'ifconfig' | 'tunIpv6'> {
  const { ifconfig, ifconfigIpv6, ifconfigNowarn } = device;
  const told = ifconfig !== undefined && !ifconfigNowarn && device.topology !== 'subnet';
  return {
    tunIpv6: ifconfigIpv6 !== undefined,
    ...(told ? { ifconfig: { kind: 'point-to-point', local: ifconfig.local, remote: ifconfig.remoteOrNetmask } } : {}),
  };
}

function digestBytes(name: string): number {
  if (name === 'none') return 0;
  if (!getHashes().some((hash) => hash.toLowerCase() === name.toLowerCase())) {
    throw new OptionValueError(`--auth ${name}: no such message digest; SHA1, SHA256, SHA384 and SHA512 are usual`);
  }
  return createHash(name).digest().length;
}

/** --remote-cert-tls, --remote-cert-ku, --remote-cert-eku, --verify-x509-name. */
function peerPolicy(options: Options): PeerPolicy {
  const { tls } = options;
  return {
    requireCertificate: true,
    ...(tls.remoteCertTls === undefined ? {} : remoteCertTls(tls.remoteCertTls)),
    ...(tls.remoteCertKu === undefined ? {} : { keyUsage: tls.remoteCertKu }),
    ...(tls.remoteCertEku === undefined ? {} : { extendedKeyUsage: tls.remoteCertEku }),
    ...(tls.verifyX509Name === undefined
      ? {}
      : { name: { kind: tls.verifyX509Name.type, value: tls.verifyX509Name.name } }),
  };
}
