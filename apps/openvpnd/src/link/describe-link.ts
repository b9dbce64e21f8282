import type { ConnectionEntry } from '@openvpnd/config';
import { formatLinkAddress, type LinkSocket } from '@openvpnd/external-mux';
import type { Say } from '../host/interface.js';

/** Prints the buffers and the local end of a link. `name` is OpenVPN's for the transport, `UDPv4`. */
export function describeLink(link: LinkSocket, name: string, entry: ConnectionEntry, say: Say): void {
  const buffers = link.bufferBytes?.();
  if (buffers !== undefined) {
    const { receive, send } = buffers;
    say(`Socket Buffers: R=[${receive}->${receive}] S=[${send}->${send}]`);
  }
  say(
    entry.bind
      ? `${name} link local (bound): ${formatLinkAddress(link.localAddress())}`
      : `${name} link local: (not bound)`,
  );
}
