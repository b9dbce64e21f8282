import type { ConnectionEntry, Options } from '@openvpnd/config';
import { formatLinkAddress, type UdpLinkOptions } from '@openvpnd/external-mux';
import { type NativeUdpLink, openUdpLink } from '@openvpnd/packet-io';
import type { Say } from './host/interface.js';
import { socketBinding } from './socket-binding.js';

/** The id of the one link of a server. */
const LINK_ID = 1;

/**
 * Opens the UDP socket of a server as its options want it, and tells the log as OpenVPN does.
 * OpenVPN: link_socket_init_phase1() and 2.
 *
 * @throws PacketIoError, ResolveError with OpenVPN's message
 */
export async function openUdpSocket(options: Options, entry: ConnectionEntry, say: Say): Promise<NativeUdpLink> {
  const { family } = entry.protocol;
  const { sendBufferBytes, receiveBufferBytes } = options.link;
  const settings: UdpLinkOptions = {
    id: LINK_ID,
    ...(await socketBinding(entry, family)),
    ipv6Only: entry.bindIpv6Only,
    ...(sendBufferBytes === undefined ? {} : { sendBufferBytes }),
    ...(receiveBufferBytes === undefined ? {} : { receiveBufferBytes }),
  };
  const link = openUdpLink(settings);
  const { receive, send } = link.bufferBytes();
  say(`Socket Buffers: R=[${receive}->${receive}] S=[${send}->${send}]`);
  const name = family === 6 ? 'UDPv6' : 'UDPv4';
  say(
    entry.bind
      ? `${name} link local (bound): ${formatLinkAddress(link.localAddress())}`
      : `${name} link local: (not bound)`,
  );
  say(`${name} link remote: [AF_UNSPEC]`);
  return link;
}
