import type { Options } from '@openvpnd/config';
import { expectedOptionsString, optionsString } from '@openvpnd/control-processor';
import { DataChannel } from '@openvpnd/data-channel';
import { ExternalMux } from '@openvpnd/external-mux';
import { InternalMux } from '@openvpnd/internal-mux';
import { type DataCipher, findDataCipher, parseStaticKey, staticDataChannelKeys } from '@openvpnd/keygen';
import type { Secret } from '@openvpnd/sans-io';
import { checkAuth, OptionValueError, optionsStringInput } from '../control-settings.js';
import { readKey } from '../host/key-file.js';
import { keyUse } from '../install-keys.js';
import { peerSettings, sessionTimeoutMs } from '../peer-settings.js';
import type { PeerParts } from './compose-client.js';
import { importOptions } from './import-options.js';
import { OccExchange } from './occ-exchange.js';
import { PeerPaths } from './peer-paths.js';
import type { ComposedPeer } from './peer-tunnel.js';
import { StaticKeyTunnel } from './static-key-tunnel.js';

/** The cipher of `--secret` where nobody names one. No OpenSSL of today has it. */
const DEFAULT_CIPHER = 'BF-CBC';

/** The key of `--secret`, and what it is used with. */
export interface StaticKey {
  /** Of the file. It stays its owner's. */
  readonly secret: Secret;
  readonly cipher: DataCipher;
}

/**
 * Reads the key file of `--secret`.
 *
 * @throws SourceFileError when it cannot be read or is no key
 * @throws OptionValueError for a cipher that a static key does not work with, or a digest that does not exist here
 */
export function readStaticKey(options: Options): StaticKey {
  const { staticKey } = options;
  if (staticKey === undefined) throw new TypeError('no options of a static key');
  const cipher = staticKeyCipher(options);
  return { secret: readKey(staticKey.source, parseStaticKey, 'an OpenVPN static key', 'secret'), cipher };
}

/** Puts a tunnel with a static key together from its options. No I/O: what has any is among the parts. */
export function composeStaticKey(parts: PeerParts & { readonly key: StaticKey }): ComposedPeer {
  const { options, entry, addresses, random, unixTime, log } = parts;
  const { staticKey } = options;
  if (staticKey === undefined) throw new TypeError('no options of a static key');
  const { secret, cipher } = parts.key;
  const { direction } = staticKey;
  const strings = optionsStringInput(options, entry, []);
  const mux = new ExternalMux({ random, maxPeers: 1, role: 'client', float: entry.float, opcodes: false });
  const internalMux = new InternalMux({ role: 'client' });
  const dataChannel = new DataChannel({ backend: parts.backend, maxPeers: 1, random });
  const result = importOptions(options, entry, []);
  for (const line of result.lines) parts.sayImported(line);
  if (!result.ok) throw new TypeError('options of the configuration alone cannot be wrong');
  const tunnel = new StaticKeyTunnel({
    dataChannel,
    mux,
    internalMux,
    paths: new PeerPaths({ mux, addresses, raceDelayMs: parts.raceDelayMs, afterwards: 'follow' }),
    keys: staticDataChannelKeys(
      secret,
      cipher,
      direction === undefined ? 'both' : direction === 0 ? 'normal' : 'inverse',
    ),
    keyUse: keyUse(options, entry),
    unixTime,
    mayBeIpv6: entry.protocol.family !== 4,
    stream: entry.protocol.transport === 'tcp',
    peer: peerSettings(options),
    silenceNeedsPeer: options.ping.onlyWithRemote,
    occ: new OccExchange({
      optionsString: optionsString(strings),
      expectedOptionsString: expectedOptionsString(strings),
      tunMtu: entry.tunMtu,
      mtuTest: options.link.mtuTest,
      fragment: entry.fragment !== undefined,
      counters: () => dataChannel.counters(0),
      log,
    }),
    replayWarnings: options.log.replayWarnings,
    imported: result.imported,
    passTos: options.link.passTos,
    sessionTimeoutMs: sessionTimeoutMs(options),
    exitNotify: entry.exitNotify,
    log,
  });
  return { tunnel, mux, internalMux, dataChannel };
}

/** The cipher and the digest of the options. OpenVPN: init_key_type(). */
function staticKeyCipher(options: Options): DataCipher {
  const { cipher: name = DEFAULT_CIPHER, auth } = options.dataChannel;
  const cipher = findDataCipher(name);
  const cure = 'set --cipher AES-256-CBC at both ends, or use TLS';
  if (cipher === undefined) throw new OptionValueError(`Cipher ${name} not supported: ${cure}`);
  if (cipher.kind === 'aead') {
    throw new OptionValueError(`Cipher '${cipher.name}' mode not supported with --secret: ${cure}`);
  }
  checkAuth(auth, [cipher.name]);
  return cipher;
}
