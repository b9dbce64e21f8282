import type { Options } from '@openvpnd/config';
import type { proxyLinks } from './proxy-links.js';

/** {@link proxyLinks}, once it is loaded. */
export type ProxyLinks = typeof proxyLinks;

/** Loads what speaks to proxies when a connection goes through one: a daemon without starts faster and holds less. */
export async function loadProxies({ connections }: Options): Promise<ProxyLinks | undefined> {
  if (connections.every(({ proxy }) => proxy === undefined)) return undefined;
  const loaded = await import('./proxy-links.js');
  return loaded.proxyLinks;
}
