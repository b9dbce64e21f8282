import type { PulledOptions } from '@openvpnd/config';
import type { LinkSocket } from '@openvpnd/external-mux';

/** What a server's push changes about the sockets of its client: `socket-flags`, `sndbuf`, `rcvbuf`. OpenVPN: do_deferred_options(). */
export function applyPulledSocketOptions(
  links: readonly LinkSocket[],
  pulled: Pick<PulledOptions, 'tcpNoDelay' | 'sendBufferBytes' | 'receiveBufferBytes'>,
  say: (line: string) => void,
): void {
  // 0 leaves a buffer as it is.
  const sendBufferBytes = pulled.sendBufferBytes || undefined;
  const receiveBufferBytes = pulled.receiveBufferBytes || undefined;
  for (const link of links) {
    if (pulled.tcpNoDelay) link.setNoDelay?.();
    if (sendBufferBytes === undefined && receiveBufferBytes === undefined) continue;
    const before = link.bufferBytes?.();
    link.resizeBuffers?.({ sendBufferBytes, receiveBufferBytes });
    const after = link.bufferBytes?.();
    if (before === undefined || after === undefined) continue;
    say(`Socket Buffers: R=[${before.receive}->${after.receive}] S=[${before.send}->${after.send}]`);
  }
}
