import { type NegotiatedOptions, protocolFlags } from '@openvpnd/control-processor';
import { findHmacDigest, type PeerSettings } from '@openvpnd/data-channel';
import { findDataCipher } from '@openvpnd/keygen';
import type { Log } from '@openvpnd/sans-io';
import { COMPRESSION_NAMES } from './compression.js';
import type { KeyUse } from './install-keys.js';

/** What {@link logNegotiated} tells beside the negotiated options. */
export interface NegotiatedSurroundings {
  readonly peer: PeerSettings;
  readonly keyUse: KeyUse;
  readonly exitNotify: number;
}

/**
 * Tells what both ends have agreed on, and the timers that hold from now on; warns of a tunnel that does not protect.
 */
export function logNegotiated(log: Log, options: NegotiatedOptions, surroundings: NegotiatedSurroundings): void {
  const { cipher } = options;
  warnOfWeakness(log, cipher, surroundings.keyUse.auth);
  logDataChannel(log, options, surroundings);
}

/** Warns of a cipher and a digest that do not protect. OpenVPN: init_key_type(). */
export function warnOfWeakness(log: Log, cipher: string, auth: string): void {
  if (cipher === 'none') log.warn('data-channel.no-cipher');
  if (findDataCipher(cipher)?.kind !== 'aead' && auth === 'none') log.warn('data-channel.no-auth');
}

/** Tells what holds for the data channel from now on. OpenVPN: tls_print_deferred_options_results(). */
export function logDataChannel(log: Log, options: NegotiatedOptions, surroundings: NegotiatedSurroundings): void {
  const { peer, keyUse, exitNotify } = surroundings;
  const isAead = findDataCipher(options.cipher)?.kind === 'aead';
  const auth = findHmacDigest(keyUse.auth)?.name ?? keyUse.auth;
  log.info('data-channel.negotiated', {
    cipher: options.cipher === 'none' ? '[null-cipher]' : options.cipher,
    ...(isAead ? {} : { auth: auth === 'none' ? '[null-digest]' : auth }),
    peerId: options.peerId,
    compression: keyUse.compression && COMPRESSION_NAMES[keyUse.compression],
  });
  const timers: string[] = [];
  if (peer.pingMs !== undefined) timers.push(`ping ${peer.pingMs / 1000}`);
  if (peer.silence !== undefined) timers.push(`${peer.silence.signal} ${peer.silence.ms / 1000}`);
  const { inactive } = peer;
  if (inactive !== undefined)
    timers.push(`inactive ${inactive.ms / 1000}${inactive.bytes > 0 ? ` ${inactive.bytes}` : ''}`);
  if (timers.length > 0) log.info('data-channel.timers', { text: timers.join(', ') });
  const flags = protocolFlags(options);
  const protocol: string[] = [];
  if (exitNotify > 0) protocol.push(`explicit-exit-notify ${exitNotify}`);
  if (flags.length > 0) protocol.push(`protocol-flags ${flags.join(' ')}`);
  if (protocol.length > 0) log.info('data-channel.protocol', { text: protocol.join(', ') });
}
