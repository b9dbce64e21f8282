import type { ConnectionEntry, HttpProxyAuthentication, Options, ProxyOptions } from '@openvpnd/config';
import type { LinkFactory, LinkMaker } from '@openvpnd/external-mux';
import { httpProxyLinks, type ProxyAuthentication } from '@openvpnd/http-proxy';
import { socksDatagramLinks, socksLinks } from '@openvpnd/socks-proxy';
import { readCredentials } from '../host/credentials.js';
import type { Run } from '../run.js';
import { tunnelVector } from '../tunnel-vector.js';

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
        authentication: authenticationOf(proxy.authentication),
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
        timeoutMs: entry.connectTimeoutSeconds * 1000,
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

/**
 * Reads what the proxies want to know, at the start and before privileges are given up: what is missing is told then, and what is there is kept.
 *
 * @throws SourceFileError
 */
export function readProxyCredentials(options: Options): void {
  for (const { proxy } of options.connections) {
    if (proxy?.kind === 'socks' && proxy.credentials !== undefined) readCredentials(proxy.credentials);
    else if (proxy?.kind === 'http') authenticationOf(proxy.authentication);
  }
}

function authenticationOf(given: HttpProxyAuthentication): ProxyAuthentication {
  switch (given.method) {
    case 'none':
      return given;
    case 'auto': {
      const credentials = given.credentials === undefined ? undefined : readCredentials(given.credentials);
      return { method: 'auto', clearText: given.clearText, credentials };
    }
    case 'basic':
    case 'ntlm2':
      return { method: given.method, credentials: readCredentials(given.credentials) };
  }
}
