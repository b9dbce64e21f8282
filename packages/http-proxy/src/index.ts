export { HttpProxyError } from './http-proxy-error.js';
export { httpProxyLinks } from './http-proxy-links.js';
export type {
  HttpProxyOptions,
  ProxyAuthentication,
  ProxyCredentials,
  ProxyRequestOptions,
} from './http-proxy-options.js';
