import { connectError, formatEndpoint, type LinkOpening } from '@openvpnd/external-mux';
import type { ClientLinkRequest, ClientLinks } from '../client/client-link-request.js';
import type { Say } from '../host/interface.js';
import { takeInterruption, untilSignal } from '../interruptible.js';
import type { Run } from '../run.js';
import { timerMs } from '../timer-limit.js';
import { describeLink } from './describe-link.js';
import { bindingFor } from './socket-binding.js';

/** What OpenVPN calls the signal when a proxy does not do what it is asked for. */
const PROXY_SIGNALS: Readonly<Record<string, string>> = {
  ERR_HTTP_PROXY: 'HTTP proxy error',
  ERR_SOCKS_PROXY: 'socks-error',
};

/**
 * Opens the link of an entry that has a proxy or a transport of its own, to one address and without a race: for as long as --connect-timeout allows or until a signal comes.
 * OpenVPN: phase2_tcp_client(), phase2_socks_client().
 *
 * @throws what the factory says of an address of ours that cannot be bound
 */
export async function openCarriedLink(run: Run, request: ClientLinkRequest): Promise<ClientLinks> {
  const { entry, factory, remotes } = request;
  const [remote] = remotes;
  const say: Say = (line) => run.log.say(1, line);
  const local = bindingFor(entry, request.locals, remote.family);
  const to = formatEndpoint(remote);
  say(
    entry.transport === undefined
      ? `Attempting to establish TCP connection with ${to}`
      : `Attempting to open a link to ${to} by transport ${entry.transport.module}`,
  );
  request.tried(remote);
  const opening = await untilSignal<LinkOpening>(run.inbox, (finish) => {
    const pending = factory.connect({ remote, ...(local === undefined ? {} : { local }) }, finish);
    const timer = setTimeout(
      () => finish({ ok: false, error: pending.overdue?.() ?? connectError(remote, 'ETIMEDOUT') }),
      timerMs(entry.connectTimeoutSeconds),
    );
    return () => {
      clearTimeout(timer);
      pending.cancel();
    };
  });
  if (opening === undefined) return { ok: false, info: takeInterruption(run.inbox) };
  if (!opening.ok) {
    const { code } = opening.error as { code?: unknown };
    if (code === 'ERR_LINK_BIND' || code === 'ERR_LINK_OPEN') throw opening.error;
    say(opening.error.message);
    const text = PROXY_SIGNALS[String(code)];
    return text === undefined
      ? { ok: false, info: { signal: 'SIGUSR1', source: 'connection failed(soft)', text: 'connection-failed' } }
      : { ok: false, info: { signal: 'SIGUSR1', source: 'soft', text } };
  }
  const name = factory.protocol === 'tcp' ? `TCPv${remote.family}_CLIENT` : `UDPv${remote.family}`;
  describeLink(opening.link, name, entry, say);
  say(`${name} link remote: ${to}`);
  return { ok: true, links: [opening.link], addresses: [opening.remote] };
}
