import { fileURLToPath } from 'node:url';
import type { HttpProxySettings } from './http-proxy-server.js';
import type { LabNamespace } from './lab.js';
import type { RunningProcess } from './running-process.js';
import type { SocksProxySettings } from './socks-proxy-server.js';

const PROGRAM = fileURLToPath(new URL('../../dist/node/proxy-process.js', import.meta.url));

/** Which proxy, and where. */
export type TestProxySettings = { readonly listen: { readonly address: string; readonly port: number } } & (
  | { readonly kind: 'http'; readonly http: HttpProxySettings }
  | { readonly kind: 'socks'; readonly socks: SocksProxySettings }
);

/** Starts an `HttpProxyServer` or a `SocksProxyServer` as a process in a namespace and waits until it serves. Its output is its log. It ends with the lab. */
export async function startTestProxy(place: LabNamespace, settings: TestProxySettings): Promise<RunningProcess> {
  const running = place.start(process.execPath, [PROGRAM, JSON.stringify(settings)], {
    title: `${place.name}: ${settings.kind} proxy`,
  });
  await running.waitForLine(/^serving$/);
  return running;
}
