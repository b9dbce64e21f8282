import { formatLinkAddress, type LinkListener, linkAddress, type OpenedLink } from '@openvpnd/external-mux';
import { ADDRESS_FAMILY, ADDRESS_HOST, ADDRESS_SCOPE, type LinkAddress } from '@openvpnd/memory';
import type { ClientLinkRequest, ClientLinks } from './client-link-request.js';
import { describeLink } from './describe-link.js';
import type { Say } from './host/interface.js';
import { takeInterruption, untilSignal } from './interruptible.js';
import type { Run } from './run.js';
import { socketBinding } from './socket-binding.js';

/**
 * Waits at the listening end of a stream for the one peer, however long it takes, and stops listening when it has come: `proto tcp-server` point to point. Where
 * there is a `remote`, it alone may connect, from whatever port. OpenVPN: socket_listen_accept().
 *
 * @throws LinkError, ResolveError with OpenVPN's message
 */
export async function acceptOnePeer(run: Run, { entry, factory, remotes }: ClientLinkRequest): Promise<ClientLinks> {
  const say: Say = (line) => run.log.say(1, line);
  const { family } = entry.protocol;
  const binding = await socketBinding(entry, family);
  const hosts = remotes.map((remote) => linkAddress(remote));
  const peer = await untilSignal<OpenedLink | Error>(run.inbox, (finish) => {
    const listener: LinkListener = factory.listen(
      { ...binding, ipv6Only: entry.bindIpv6Only },
      {
        listening: (local) => say(`Listening for incoming TCP connection on ${formatLinkAddress(local)}`),
        link: (link, remote) => {
          if (remote === undefined) return;
          if (hosts.length > 0 && !entry.float && !hosts.some((host) => sameHost(host, remote))) {
            say(`TCP NOTE: Rejected connection attempt from ${formatLinkAddress(remote)} due to --remote setting`);
            link.close();
            return;
          }
          finish({ link, remote });
        },
        crowded: (error) => say(error.message),
        failed: finish,
      },
    );
    return () => listener.close();
  });
  if (peer === undefined) return { ok: false, info: takeInterruption(run.inbox) };
  if (peer instanceof Error) throw peer;
  const { link, remote } = peer;
  say(`TCP connection established with ${formatLinkAddress(remote)}`);
  const name = `TCPv${family === 6 || remote[ADDRESS_FAMILY] === 6 ? 6 : 4}_SERVER`;
  describeLink(link, name, entry, say);
  say(`${name} link remote: ${formatLinkAddress(remote)}`);
  return { ok: true, links: [link], addresses: [remote] };
}

function sameHost(a: LinkAddress, b: LinkAddress): boolean {
  if (a[ADDRESS_FAMILY] !== b[ADDRESS_FAMILY]) return false;
  for (let word = ADDRESS_HOST; word < ADDRESS_SCOPE; word += 1) if (a[word] !== b[word]) return false;
  return true;
}
