export { socksDatagramLinks } from './socks-datagram-links.js';
export { socksLinks } from './socks-links.js';
export { SocksProxyError } from './socks-proxy-error.js';
export type { SocksDatagramOptions, SocksProxyOptions } from './socks-proxy-options.js';
