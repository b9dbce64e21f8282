import type { Options, PingOptions, PulledOptions } from '@openvpnd/config';
import type { PeerSettings } from '@openvpnd/data-channel';
import { NEVER } from '@openvpnd/sans-io';
import { compressionSetting } from './compression.js';

/** Timers and limits of a peer's data channel, from the options alone: a server's clients, and a client before it has pulled. */
export function peerSettings(options: Options): PeerSettings {
  const { replayWindow } = options.dataChannel;
  const { renegotiation } = options.tls;
  return {
    ...timers(options.ping),
    replayWindow,
    compression: compressionSetting(options.dataChannel.compression.algorithm),
    ...(renegotiation.bytes === undefined ? {} : { renegotiateBytes: renegotiation.bytes }),
    renegotiatePackets: renegotiation.packets,
  };
}

/** What a server's push changes about them. */
export function pulledPeerSettings(options: Options, pulled: PulledOptions): PeerSettings {
  return {
    ...peerSettings(options),
    ...(pulled.compression && { compression: compressionSetting(pulled.compression.algorithm) }),
    ...timers({
      ...options.ping,
      ...(pulled.pingSeconds === undefined ? {} : { sendSeconds: pulled.pingSeconds }),
      ...(pulled.pingTimeout === undefined
        ? {}
        : { timeout: pulled.pingTimeout.seconds === 0 ? undefined : pulled.pingTimeout }),
      ...(pulled.inactive === undefined ? {} : { inactive: pulled.inactive }),
    }),
  };
}

/** --session-timeout of the options, or as the server pushed it; Infinity: none. */
export function sessionTimeoutMs(options: Options, pulled?: PulledOptions): number {
  return (pulled?.sessionTimeoutSeconds ?? options.ping.sessionTimeoutSeconds ?? 0) * 1000 || NEVER;
}

function timers(ping: Pick<PingOptions, 'sendSeconds' | 'timeout' | 'inactive'>): PeerSettings {
  const { timeout, inactive } = ping;
  return {
    inactive:
      inactive === undefined || inactive.seconds === 0
        ? undefined
        : { ms: inactive.seconds * 1000, bytes: inactive.bytes },
    pingMs: ping.sendSeconds === 0 ? undefined : ping.sendSeconds * 1000,
    silence:
      timeout === undefined
        ? undefined
        : { ms: timeout.seconds * 1000, signal: timeout.action === 'exit' ? 'ping-exit' : 'ping-restart' },
  };
}
