import type { ConnectionEntry, Options } from '@openvpnd/config';
import { formatLinkAddress, linkAddress, type UdpLinkOptions } from '@openvpnd/external-mux';
import { type NativeUdpLink, openUdpLink } from '@openvpnd/packet-io';
import type { Say } from './host/interface.js';
import type { ResolvedAddress } from './host/resolve.js';
import { socketBinding } from './socket-binding.js';

/** The id of the one link of a client or server. */
const LINK_ID = 1;

/**
 * Opens the UDP socket of a connection as its options want it, and tells the log as OpenVPN does.
 * OpenVPN: link_socket_init_phase1() and 2.
 *
 * @param remote where a client goes: its family alone is opened
 * @throws PacketIoError, ResolveError with OpenVPN's message
 */
export async function openUdpSocket(
  options: Options,
  entry: ConnectionEntry,
  remote: (ResolvedAddress & { readonly port: number }) | undefined,
  say: Say,
): Promise<NativeUdpLink> {
  const family = remote?.family ?? entry.protocol.family;
  const { sendBufferBytes, receiveBufferBytes } = options.link;
  const settings: UdpLinkOptions = {
    id: LINK_ID,
    ...(await socketBinding(entry, family)),
    // A client's socket serves the family of its remote and leaves the other's port alone.
    ipv6Only: entry.bindIpv6Only || remote?.family === 6,
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
  const to = remote === undefined ? '[AF_UNSPEC]' : formatLinkAddress(linkAddress(remote));
  say(`${name} link remote: ${to}`);
  return link;
}
