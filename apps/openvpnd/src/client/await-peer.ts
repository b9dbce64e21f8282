import type { ConnectionEntry, Listener } from '@openvpnd/config';
import {
  formatLinkAddress,
  type LinkFactory,
  type LinkListener,
  type LinkSocket,
  linkAddress,
  type OpenedLink,
} from '@openvpnd/external-mux';
import { ADDRESS_FAMILY, ADDRESS_HOST, ADDRESS_SCOPE, type LinkAddress } from '@openvpnd/memory';
import { takeInterruption, untilSignal } from '../interruptible.js';
import type { Run } from '../run.js';
import { type ListenerSink, openListeners } from '../server/open-listeners.js';
import type { ClientLinkRequest, ClientLinks } from './client-link-request.js';

/** As of a server with one client. */
const ONE_PEER: Pick<
  Listener,
  'tag' | 'implied' | 'bindPolicy' | 'backlog' | 'maxClients' | 'connectFreq' | 'connectFreqInitial' | 'portShare'
> = {
  tag: undefined,
  implied: true,
  bindPolicy: 'any',
  backlog: 1,
  maxClients: undefined,
  connectFreq: undefined,
  connectFreqInitial: undefined,
  portShare: undefined,
};

/**
 * Waits for the one peer of a point that does not go to it: on datagrams its first packet will show who it is, on a stream it comes with its connection, however long that takes, and
 * nobody else is let in. Where there is a `remote`, it alone may connect, from whatever port. OpenVPN: socket_listen_accept().
 *
 * @throws LinkError, PacketIoError, ResolveError with OpenVPN's message
 */
export function awaitPeer(run: Run, request: ClientLinkRequest): Promise<ClientLinks> {
  return request.factory.protocol === 'tcp' ? acceptStream(run, request) : listenForDatagrams(run, request);
}

async function listenForDatagrams(run: Run, { entry, factory, locals }: ClientLinkRequest): Promise<ClientLinks> {
  const links: LinkSocket[] = [];
  // One link each for all peers: closing the listener would not close it.
  const listener = await openUnlessSignal(run, listenerOf(entry, locals, run), factory, {
    link: (link) => links.push(link),
  });
  if (listener !== undefined) return { ok: true, links, addresses: [] };
  for (const link of links) link.close();
  return { ok: false, info: takeInterruption(run.inbox) };
}

/** The open listener; undefined when a signal came while a resolver or a transport took its time. */
async function openUnlessSignal(
  run: Run,
  listener: Listener,
  factory: LinkFactory,
  sink: ListenerSink,
): Promise<LinkListener | undefined> {
  const interrupted = new AbortController();
  run.inbox.listen(() => interrupted.abort());
  try {
    return await openListeners(run, [listener], () => factory, sink, interrupted.signal);
  } catch (error) {
    if (interrupted.signal.aborted) return undefined;
    throw error;
  } finally {
    run.inbox.listen(undefined);
  }
}

async function acceptStream(run: Run, request: ClientLinkRequest): Promise<ClientLinks> {
  const { entry, factory, remotes, locals } = request;
  const say = (line: string): void => run.log.say(1, line);
  const hosts = remotes.map((remote) => linkAddress(remote));
  let first: OpenedLink | undefined;
  let tell = (): void => {};
  const listener = await openUnlessSignal(run, listenerOf(entry, locals, run), factory, {
    link: (link, remote) => {
      if (remote === undefined) return;
      const isWelcome = hosts.length === 0 || entry.float || hosts.some((host) => sameHost(host, remote));
      if (!isWelcome) {
        say(`TCP NOTE: Rejected connection attempt from ${formatLinkAddress(remote)} due to --remote setting`);
      }
      if (!isWelcome || first !== undefined) {
        link.close();
        return;
      }
      first = { link, remote };
      tell();
    },
  });
  if (listener === undefined) return { ok: false, info: takeInterruption(run.inbox) };
  const peer = await untilSignal<OpenedLink>(run.inbox, (finish) => {
    tell = () => first && finish(first);
    tell();
    return () => listener.close();
  });
  if (peer === undefined) return { ok: false, info: takeInterruption(run.inbox) };
  const { link, remote } = peer;
  const at = formatLinkAddress(remote);
  say(`TCP connection established with ${at}`);
  say(`TCPv${remote[ADDRESS_FAMILY]}_SERVER link remote: ${at}`);
  return { ok: true, links: [link], addresses: [remote] };
}

/** With --persist-local-ip the name is not asked for again. */
function listenerOf(entry: ConnectionEntry, locals: ClientLinkRequest['locals'], run: Run): Listener {
  const localHost = run.options.link.persistLocalIp ? locals?.[0].address : entry.localHost;
  return { ...entry, ...ONE_PEER, localHost };
}

function sameHost(a: LinkAddress, b: LinkAddress): boolean {
  if (a[ADDRESS_FAMILY] !== b[ADDRESS_FAMILY]) return false;
  for (let word = ADDRESS_HOST; word < ADDRESS_SCOPE; word += 1) if (a[word] !== b[word]) return false;
  return true;
}
