import type { FileSource } from './file-source.js';

/** How an HTTP proxy is told who asks. `auto` waits for what the proxy wants; without `clearText` (`auto-nct`) it is never told a password in the clear. */
export type HttpProxyAuthentication =
  | { readonly method: 'none' }
  | { readonly method: 'basic' | 'ntlm2'; readonly credentials: FileSource }
  | { readonly method: 'auto'; readonly clearText: boolean; readonly credentials: FileSource | undefined };

/** `http-proxy` with its options. */
export interface HttpProxyOptions {
  readonly kind: 'http';
  readonly host: string;
  readonly port: number;
  readonly authentication: HttpProxyAuthentication;
  /** `http-proxy-option VERSION`, default 1.0; `AGENT`; `CUSTOM-HEADER` as whole lines. */
  readonly version: string;
  readonly userAgent: string | undefined;
  readonly headers: readonly string[];
}

/** `socks-proxy`. */
export interface SocksProxyOptions {
  readonly kind: 'socks';
  readonly host: string;
  readonly port: number;
  readonly credentials: FileSource | undefined;
}

/** The proxy between a client and its server. */
export type ProxyOptions = HttpProxyOptions | SocksProxyOptions;

/** `transport`: a module that carries the packets instead of UDP or TCP. */
export interface TransportOptions {
  /** A path when it begins with `/` or `.`, else the name of a package. */
  readonly module: string;
  readonly args: readonly string[];
}

/** `port-share`: where connections go that do not speak OpenVPN. */
export interface PortShareOptions {
  readonly host: string;
  readonly port: number;
  /** Where files tell the other service who came. */
  readonly directory: string | undefined;
}
