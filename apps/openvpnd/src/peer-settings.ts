import type { Options, PingOptions, PulledOptions } from '@openvpnd/config';
import type { PeerSettings } from '@openvpnd/data-channel';

/** Timers and limits of a peer's data channel, from the options alone: a server's clients, and a client before it has pulled. */
export function peerSettings(options: Options): PeerSettings {
  const { replayWindow } = options.dataChannel;
  const { renegotiation } = options.tls;
  return {
    ...timers(options.ping),
    replayWindow,
    ...(renegotiation.bytes === undefined ? {} : { renegotiateBytes: renegotiation.bytes }),
    renegotiatePackets: renegotiation.packets,
  };
}

/** What a server's push changes about them. */
export function pulledPeerSettings(options: Options, pulled: PulledOptions): PeerSettings {
  return {
    ...peerSettings(options),
    ...timers({
      ...options.ping,
      ...(pulled.pingSeconds === undefined ? {} : { sendSeconds: pulled.pingSeconds }),
      ...(pulled.pingTimeout === undefined
        ? {}
        : { timeout: pulled.pingTimeout.seconds === 0 ? undefined : pulled.pingTimeout }),
    }),
  };
}

function timers(ping: Pick<PingOptions, 'sendSeconds' | 'timeout'>): PeerSettings {
  const { timeout } = ping;
  return {
    pingMs: ping.sendSeconds === 0 ? undefined : ping.sendSeconds * 1000,
    silence:
      timeout === undefined
        ? undefined
        : { ms: timeout.seconds * 1000, signal: timeout.action === 'exit' ? 'ping-exit' : 'ping-restart' },
  };
}
