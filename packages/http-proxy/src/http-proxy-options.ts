import type { LinkMaker } from '@openvpnd/external-mux';
import type { Log, Random } from '@openvpnd/sans-io';

/** Who asks. For NTLM the name may begin with a domain and a backslash. */
export interface ProxyCredentials {
  readonly username: string;
  readonly password: string;
}

/**
 * How to tell a proxy who asks. `none`: not at all. `basic`: at once and readable. `ntlm2`: NTLM with responses of version 2. `auto`: as the proxy asks for,
 * the strongest that it offers; `clearText` false (`auto-nct`) keeps to those that do not show the password.
 */
export type ProxyAuthentication =
  | { readonly method: 'none' }
  | { readonly method: 'basic' | 'ntlm2'; readonly credentials: ProxyCredentials }
  | { readonly method: 'auto'; readonly clearText: boolean; readonly credentials: ProxyCredentials | undefined };

/** What is said in every request. */
export interface ProxyRequestOptions {
  /** `http-proxy-option VERSION`; `1.0` when absent. */
  readonly version?: string;
  /** `http-proxy-option AGENT`. */
  readonly userAgent?: string;
  /** `http-proxy-option CUSTOM-HEADER`: whole lines, `Name: value`, in order. One that is named `Host` takes the place of ours. */
  readonly headers?: readonly string[];
}

/** What opens links through a proxy. */
export interface HttpProxyOptions {
  /** The server behind the proxy; a name is the proxy's to resolve. */
  readonly target: { readonly host: string; readonly port: number };
  readonly authentication: ProxyAuthentication;
  readonly request?: ProxyRequestOptions;
  readonly links: LinkMaker;
  readonly random: Random;
  /** Milliseconds since 1970, for NTLM. */
  readonly unixMs: () => number;
  readonly log?: Log;
}
