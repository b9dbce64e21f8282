import type { HttpProxyAuthentication, Options } from '@openvpnd/config';
import type { ProxyAuthentication } from '@openvpnd/http-proxy';
import { readCredentials } from '../host/credentials.js';

/**
 * Reads what the proxies want to know, at the start and before privileges are given up: what is missing is told then, and what is there is kept.
 *
 * @throws SourceFileError
 */
export function readProxyCredentials(options: Options): void {
  for (const { proxy } of options.connections) {
    if (proxy?.kind === 'socks' && proxy.credentials !== undefined) readCredentials(proxy.credentials);
    else if (proxy?.kind === 'http') proxyAuthentication(proxy.authentication);
  }
}

/** What an HTTP proxy is told, with user name and password read.
 *
 * @throws SourceFileError */
export function proxyAuthentication(given: HttpProxyAuthentication): ProxyAuthentication {
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
