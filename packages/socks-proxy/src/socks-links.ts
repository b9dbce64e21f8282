import type { LinkFactory, ListenWatcher } from '@openvpnd/external-mux';
import { negotiate } from './negotiate.js';
import { SocksProxyError } from './socks-proxy-error.js';
import type { SocksProxyOptions } from './socks-proxy-options.js';

/**
 * TCP links to a server behind a SOCKS 5 proxy. `connect` goes to an address of the proxy, which is the link's remote, and has it connect to the target. Nobody can be
 * waited for: `listen` fails. RFC 1928, CONNECT. OpenVPN: `--socks-proxy` with `--proto tcp-client`.
 */
export function socksLinks(options: SocksProxyOptions): LinkFactory {
  return {
    protocol: 'tcp',
    connect: (where, opened) =>
      negotiate(options, 'connect', where, (result) => {
        if (!result.ok) return opened(result);
        // The library holds the stream until it has handed over what came early.
        opened({ ok: true, ...options.links.stream(result.stream, result.ends) });
      }),
    listen: (_where, watcher) => refuseToListen(watcher),
  };
}

/** There is no way to wait for a peer behind a proxy. */
export function refuseToListen(watcher: ListenWatcher): { close(): void } {
  queueMicrotask(() => watcher.failed(new SocksProxyError('--socks-proxy can not be used in TCP Server mode')));
  return { close: () => {} };
}
