import type { ConnectionEntry, ProxyOptions } from '@openvpnd/config';
import type { LinkFactory, LinkMaker } from '@openvpnd/external-mux';
import { httpProxyLinks } from '@openvpnd/http-proxy';
import { socksDatagramLinks, socksLinks } from '@openvpnd/socks-proxy';
import { readCredentials } from '../host/credentials.js';
import type { Run } from '../run.js';
import { timerMs } from '../timer-limit.js';
import { tunnelVector } from '../tunnel-vector.js';
import { proxyAuthentication } from './proxy-credentials.js';

/** What links through a proxy are made with. */
export interface ProxyLinkOptions {
  readonly run: Pick<Run, 'log' | 'random' | 'clock' | 'unixTime'>;
  readonly entry: ConnectionEntry;
  readonly proxy: ProxyOptions;
  readonly links: LinkMaker;
  /** Plain UDP links, for those towards the relay of a SOCKS proxy. */
  readonly datagrams: LinkFactory;
}

/**
 * What opens the links of a connection entry through its proxy.
 *
 * @throws SourceFileError when the proxy's user name and password cannot be read
 */
export function proxyLinks({ run, entry, proxy, links, datagrams }: ProxyLinkOptions): LinkFactory {
  const target = entry.remote;
  if (target === undefined) throw new TypeError('a proxy without a remote');
  const log = run.log.events(() => '');
  switch (proxy.kind) {
    case 'http':
      return httpProxyLinks({
        target,
        authentication: proxyAuthentication(proxy.authentication),
        request: {
          version: proxy.version,
          headers: proxy.headers,
          ...(proxy.userAgent === undefined ? {} : { userAgent: proxy.userAgent }),
        },
        links,
        random: run.random,
        unixMs: () => run.unixTime(run.clock.now()) * 1000,
        log,
      });
    case 'socks': {
      const { credentials } = proxy;
      const options = {
        target,
        timeoutMs: timerMs(entry.connectTimeoutSeconds),
        links,
        log,
        ...(credentials === undefined ? {} : { credentials: readCredentials(credentials) }),
      };
      return entry.protocol.transport === 'tcp'
        ? socksLinks(options)
        : socksDatagramLinks({ ...options, datagrams, maxPacketBytes: tunnelVector(entry.tunMtu).packetBytes });
    }
  }
}
