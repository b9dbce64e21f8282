// The process of a TestProxy: `node proxy-process.js SETTINGS`, with TestProxySettings as JSON. SIGUSR2: ends all connections and goes on.
import { HttpProxyServer } from './http-proxy-server.js';
import { SocksProxyServer } from './socks-proxy-server.js';
import type { TestProxySettings } from './test-proxy.js';

const settings = JSON.parse(process.argv[2] ?? '{}') as TestProxySettings;
const log = (line: string): void => void process.stdout.write(`${line}\n`);
const { listen } = settings;
if (settings.kind === 'http') {
  await new HttpProxyServer(settings.http, log).listen(listen.address, listen.port);
} else {
  const server = new SocksProxyServer(settings.socks, log);
  await server.listen(listen.address, listen.port);
  process.on('SIGUSR2', () => server.endAll());
}
log('serving');
