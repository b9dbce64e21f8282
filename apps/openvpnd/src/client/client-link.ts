import { formatEndpoint, type LinkFactory, type LinkOpening, type LinkSocket } from '@openvpnd/external-mux';
import type { LinkAddress } from '@openvpnd/memory';
import type { Say } from '../host/interface.js';
import { openCarriedLink } from '../link/carried-link.js';
import { describeLink } from '../link/describe-link.js';
import { bindingFor } from '../link/socket-binding.js';
import type { Run } from '../run.js';
import { awaitPeer } from './await-peer.js';
import type { ClientLinkRequest, ClientLinks } from './client-link-request.js';
import { raceStreams } from './race-streams.js';

/**
 * Opens what a client needs to reach its peer, or to be reached by it, whatever the transport, for as long as --connect-timeout allows or until a signal comes, and tells the
 * log as OpenVPN does. OpenVPN: link_socket_init_phase1(), link_socket_init_phase2().
 *
 * @throws what the factory says of an address that cannot be bound
 */
export async function openClientLinks(run: Run, request: ClientLinkRequest): Promise<ClientLinks> {
  const { entry, factory, remotes } = request;
  const say: Say = (line) => run.log.say(1, line);
  if (remotes.length === 0 || entry.protocol.side === 'server') return await awaitPeer(run, request);
  if (entry.proxy !== undefined || entry.transport !== undefined) return openCarriedLink(run, request);
  if (factory.protocol === 'tcp') {
    const result = await raceStreams(run, request);
    if (!result.ok) return result;
    const { link, remote, endpoint } = result;
    describeLink(link, `TCPv${endpoint.family}_CLIENT`, entry, say);
    say(`TCPv${endpoint.family}_CLIENT link remote: ${formatEndpoint(endpoint)}`);
    return { ok: true, links: [link], addresses: [remote] };
  }
  const links: LinkSocket[] = [];
  const addresses: LinkAddress[] = [];
  for (const remote of remotes) {
    const local = bindingFor(entry, request.locals, remote.family);
    const opening = await opened(factory, { remote, ...(local === undefined ? {} : { local }) });
    if (!opening.ok) {
      // The other family may do.
      if (isFamilyMissing(opening.error) && remotes.length > 1 && (links.length > 0 || remote !== remotes.at(-1))) {
        say(opening.error.message);
        continue;
      }
      for (const link of links) link.close();
      throw opening.error;
    }
    links.push(opening.link);
    addresses.push(opening.remote);
    describeLink(opening.link, `UDPv${remote.family}`, entry, say);
    say(`UDPv${remote.family} link remote: ${formatEndpoint(remote)}`);
  }
  return { ok: true, links, addresses };
}

function opened(factory: LinkFactory, where: Parameters<LinkFactory['connect']>[0]): Promise<LinkOpening> {
  return new Promise((resolve) => factory.connect(where, resolve));
}

function isFamilyMissing(error: Error): boolean {
  const { systemCode } = error as { systemCode?: unknown };
  return systemCode === 'EAFNOSUPPORT' || systemCode === 'EADDRNOTAVAIL';
}
