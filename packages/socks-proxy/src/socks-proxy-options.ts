import type { LinkFactory, LinkMaker } from '@openvpnd/external-mux';
import type { Log } from '@openvpnd/sans-io';

/** What opens links through a proxy. */
export interface SocksProxyOptions {
  /** The server behind the proxy: an address of either family, or a name of at most 255 bytes, which is the proxy's to resolve. */
  readonly target: { readonly host: string; readonly port: number };
  /** User name and password of RFC 1929, 1 … 255 bytes each. */
  readonly credentials?: { readonly username: string; readonly password: string };
  /** How long the proxy has for its answers, in milliseconds; 1 or more. */
  readonly timeoutMs: number;
  /** Makes the links, and dials the proxy. */
  readonly links: LinkMaker;
  readonly log?: Log;
}

/** The same for UDP. */
export interface SocksDatagramOptions extends SocksProxyOptions {
  /** What opens the socket towards the proxy's relay: a factory of plain UDP links. */
  readonly datagrams: LinkFactory;
  /** 1 … 65535: the largest packet that is taken; a longer one is dropped. */
  readonly maxPacketBytes: number;
}
