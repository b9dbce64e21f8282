import { asksConsole } from './apply/proxy.js';
import type { Draft, EntryDraft, HttpProxyDraft } from './draft.js';
import type { ConnectionEntry } from './options/connection-entry.js';
import type { FileSource } from './options/file-source.js';
import type { Listener } from './options/listener.js';
import type { HttpProxyAuthentication, ProxyOptions } from './options/proxy-options.js';

/** The proxy of an entry, which has been found without contradiction. */
export function proxyOf(draft: Draft, entry: EntryDraft): ProxyOptions | undefined {
  const { httpProxy, socksProxy } = entry;
  if (httpProxy !== undefined) {
    return {
      kind: 'http',
      host: httpProxy.host,
      port: httpProxy.port,
      authentication: authenticationOf(httpProxy, loginOf(draft, entry)),
      version: entry.httpProxyVersion ?? '1.0',
      userAgent: entry.httpProxyAgent,
      headers: entry.httpProxyHeaders ?? [],
    };
  }
  if (socksProxy === undefined) return undefined;
  return { kind: 'socks', host: socksProxy.host, port: socksProxy.port, credentials: socksProxy.login };
}

/** `http-proxy-user-pass` may stand behind the block that it is for. */
function loginOf(draft: Draft, entry: EntryDraft): FileSource | undefined {
  return entry.httpProxyLogin ?? draft.entry.httpProxyLogin;
}

/** `http-proxy-user-pass` goes before the file that `http-proxy` names. */
function authenticationOf(proxy: HttpProxyDraft, login: FileSource | undefined): HttpProxyAuthentication {
  const { method } = proxy;
  switch (method) {
    case 'none':
      return { method };
    case 'auto':
    case 'auto-nct':
      return { method: 'auto', clearText: method === 'auto', credentials: login };
    case 'basic':
    case 'ntlm2': {
      const credentials = login ?? proxy.login;
      if (credentials === undefined) throw new TypeError(`http-proxy ${method} without a login`);
      return { method, credentials };
    }
  }
}

/** OpenVPN's sentence, or ours where OpenVPN has no such thing, about proxies and transports that cannot be. OpenVPN: options_postprocess_verify_ce(). */
export function proxyProblem(draft: Draft, connections: readonly ConnectionEntry[]): string | undefined {
  const entries = draft.blocks.length > 0 ? draft.blocks : [draft.entry];
  for (const [index, { protocol }] of connections.entries()) {
    const entry = entries[index] ?? draft.entry;
    const problem = entryProblem(draft, entry, protocol);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function entryProblem(draft: Draft, entry: EntryDraft, protocol: ConnectionEntry['protocol']): string | undefined {
  const { httpProxy, socksProxy, transport } = entry;
  const details = entry.httpProxyVersion ?? entry.httpProxyAgent ?? entry.httpProxyHeaders ?? loginOf(draft, entry);
  if (httpProxy === undefined && details !== undefined) {
    return '--http-proxy not specified but other http proxy options present';
  }
  if (httpProxy !== undefined && (protocol.transport !== 'tcp' || protocol.side !== 'client')) {
    return '--http-proxy MUST be used in TCP Client mode (i.e. --proto tcp-client)';
  }
  if (httpProxy !== undefined && socksProxy !== undefined) {
    return '--http-proxy can not be used together with --socks-proxy';
  }
  if (socksProxy !== undefined) {
    if (protocol.transport === 'tcp' && protocol.side === 'server') {
      return '--socks-proxy can not be used in TCP Server mode';
    }
    if (draft.mode === 'server') return '--socks-proxy cannot be used with --mode server';
  }
  if (transport !== undefined && (httpProxy ?? socksProxy) !== undefined) {
    return '--transport can not be used together with --http-proxy or --socks-proxy';
  }
  const consoleLogin = httpProxy?.login?.kind === 'file' && httpProxy.login.path === 'stdin';
  return consoleLogin && loginOf(draft, entry) === undefined
    ? asksConsole('http-proxy', 'name a file, or give them with --http-proxy-user-pass')
    : undefined;
}

/** The same for `port-share`. */
export function portShareProblem(draft: Draft, listeners: readonly Listener[]): string | undefined {
  const asked = [draft.entry, ...draft.blocks, ...draft.listens].some(({ portShare }) => portShare !== undefined);
  if (!asked) return undefined;
  if (draft.mode !== 'server') return '--port-share requires TCP server mode (--mode server --proto tcp-server)';
  const shared = listeners.filter(({ portShare }) => portShare !== undefined);
  if (!shared.some(({ protocol }) => protocol.transport === 'tcp')) {
    return '--port-share only works in TCP server mode (--proto values of tcp-server, tcp4-server, or tcp6-server)';
  }
  return shared.some(({ transport }) => transport !== undefined)
    ? '--port-share can not be used together with --transport'
    : undefined;
}
