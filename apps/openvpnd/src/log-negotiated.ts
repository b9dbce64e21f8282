import type { NegotiatedOptions } from '@openvpnd/control-processor';
import type { PeerSettings } from '@openvpnd/data-channel';
import type { Log } from '@openvpnd/sans-io';

/** Tells what both ends have agreed on, and the timers that hold from now on. OpenVPN: tls_print_deferred_options_results(). */
export function logNegotiated(log: Log, options: NegotiatedOptions, peer: PeerSettings, exitNotify: number): void {
  const timers: string[] = [];
  if (peer.pingMs !== undefined) timers.push(`ping ${peer.pingMs / 1000}`);
  if (peer.silence !== undefined) timers.push(`${peer.silence.signal} ${peer.silence.ms / 1000}`);
  if (timers.length > 0) log.info('data-channel.timers', { text: timers.join(', ') });
  const flags: string[] = [];
  if (options.ccExit) flags.push('cc-exit');
  if (options.keyDerivation === 'tls-ekm') flags.push('tls-ekm');
  if (options.dynamicTlsCrypt) flags.push('dyn-tls-crypt');
  const protocol: string[] = [];
  if (exitNotify > 0) protocol.push(`explicit-exit-notify ${exitNotify}`);
  if (flags.length > 0) protocol.push(`protocol-flags ${flags.join(' ')}`);
  if (protocol.length > 0) log.info('data-channel.protocol', { text: protocol.join(', ') });
}
