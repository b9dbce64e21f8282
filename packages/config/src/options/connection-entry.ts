import type { Protocol } from '../protocol.js';
import type { FileSource } from './file-source.js';
import type { ProxyOptions, TransportOptions } from './proxy-options.js';

/**
 * `mssfix`. `outer`: the whole packet with IP and UDP headers keeps to the size ("mtu"); `payload`: the UDP payload
 * does; `fixed`: the inner packet does.
 */
export interface MssFix {
  readonly bytes: number;
  readonly basis: 'outer' | 'payload' | 'fixed';
}

/** `fragment`. `payload`: UDP payloads keep to the size; `outer`: whole packets do ("mtu"). */
export interface Fragment {
  readonly bytes: number;
  readonly basis: 'outer' | 'payload';
}

/** How control packets are wrapped with a key that all share. A missing direction means that both directions use the same keys. */
export type SharedWrapOptions =
  | { readonly kind: 'none' }
  | { readonly kind: 'tls-auth'; readonly key: FileSource; readonly direction: 0 | 1 | undefined }
  | { readonly kind: 'tls-crypt'; readonly key: FileSource };

/** How control packets are wrapped. */
export type ControlWrapOptions =
  | SharedWrapOptions
  | {
      readonly kind: 'tls-crypt-v2';
      /** A server key on a server, a client key on a client. */
      readonly key: FileSource;
      /** `force-cookie`: clients that cannot show a cookie (2.5) are refused. */
      readonly forceCookie: boolean;
      /** Server: what clients without tls-crypt-v2 use; `none` refuses them. */
      readonly beside: SharedWrapOptions;
    };

/** `mtu-disc`: `yes` never fragments, `maybe` does by what is known of the path, `no` always allows it. */
export type MtuDiscovery = 'no' | 'maybe' | 'yes';

/** How the socket of an entry is set up. */
export interface SocketOptions {
  /** `sndbuf`, `rcvbuf`; undefined leaves the choice to the adapter. */
  readonly sendBufferBytes: number | undefined;
  readonly receiveBufferBytes: number | undefined;
  /** `socket-flags TCP_NODELAY`, also from `tcp-nodelay`. */
  readonly noDelay: boolean;
  /** `mark`: SO_MARK, for rules of routing and firewall. */
  readonly mark: number | undefined;
  /** `bind-dev`: the interface that all packets go through. */
  readonly bindDevice: string | undefined;
  /** `mtu-disc`. */
  readonly mtuDiscovery: MtuDiscovery | undefined;
  /** `multihome`: UDP answers from the local address that was asked, and with `same-interface` through the interface too. For who waits for peers. */
  readonly multihome: 'any-interface' | 'same-interface' | undefined;
}

/** One way to reach a peer, or to wait for peers: a `remote`, a `<connection>` block, or a listener of a server. */
export interface ConnectionEntry {
  readonly protocol: Protocol;
  /** Undefined: wait for the peer. */
  readonly remote: { readonly host: string; readonly port: number } | undefined;
  /** `http-proxy` or `socks-proxy`: what is connected to instead, and resolves the name of the remote. */
  readonly proxy: ProxyOptions | undefined;
  /** `transport`: what carries the packets instead of a socket of ours. */
  readonly transport: TransportOptions | undefined;
  /** Address to bind to; undefined means all. */
  readonly localHost: string | undefined;
  /** Port to bind to; meaningless unless `bind`. */
  readonly localPort: number;
  readonly bind: boolean;
  /** `bind ipv6only`. */
  readonly bindIpv6Only: boolean;
  /** `float`: the authenticated peer may come from another address. */
  readonly float: boolean;
  /**
   * `connect-race`: how long an address of the other family waits for the first one, in milliseconds; undefined: one address at a time. For UDP point to point that is when a packet goes
   * to the other family too: there both are open from the start.
   */
  readonly raceDelayMs: number | undefined;
  /** `connect-retry`: first wait and its limit. */
  readonly retrySeconds: number;
  readonly retryMaxSeconds: number;
  /** `connect-timeout`: wait for the first packet of the server. */
  readonly connectTimeoutSeconds: number;
  /** `tun-mtu`. */
  readonly tunMtu: number;
  /** `tun-mtu-max`: the largest MTU that a server may push; never below `tunMtu`. */
  readonly tunMtuMax: number;
  /** `fragment`; undefined: switched off. */
  readonly fragment: Fragment | undefined;
  /** The MTU for the options string of peers, `tun-mtu n occ`. */
  readonly occMtu: number;
  /** Undefined: switched off. */
  readonly mssFix: MssFix | undefined;
  /** `max-packet-size`: largest control packet on the wire with IP and UDP headers; 154 to 2048, default 1250. */
  readonly maxControlPacketBytes: number;
  /** `explicit-exit-notify`, 0 when not given and with TCP. Client: how often to tell. Server: 1 RESTART, 2 RESTART,[N]. */
  readonly exitNotify: number;
  readonly controlWrap: ControlWrapOptions;
  readonly socket: SocketOptions;
}

/** Options of the link that all connection entries share. */
export interface LinkOptions {
  /** `remote-random`. */
  readonly remoteRandom: boolean;
  /** `remote-random-hostname`: host names get a random label in front. */
  readonly remoteRandomHostname: boolean;
  /** `persist-local-ip`: `local` is resolved once. */
  readonly persistLocalIp: boolean;
  /** `persist-remote-ip`: remotes are resolved once, and the address that worked comes first. */
  readonly persistRemoteIp: boolean;
  /** `resolv-retry`; Infinity by default. */
  readonly resolveRetrySeconds: number;
  /** `connect-retry-max`: attempts for each entry; Infinity by default. */
  readonly connectRetryMax: number;
  /** `tcp-queue-limit`: data packets that wait for a full TCP connection; default 64. */
  readonly tcpQueueLimit: number;
  /** `passtos`: UDP packets leave with the TOS, or traffic class, of the packet inside. */
  readonly passTos: boolean;
  /** `mtu-test`. */
  readonly mtuTest: boolean;
}

/** What happens when the peer falls silent. */
export interface PingOptions {
  /** `ping`: send a ping after so long a silence of ours; 0 never. */
  readonly sendSeconds: number;
  /** `ping-restart`, `ping-exit`; undefined never. */
  readonly timeout: { readonly seconds: number; readonly action: 'restart' | 'exit' } | undefined;
  /** `ping-timer-rem`: the timeout runs only once the address of the peer is known. */
  readonly onlyWithRemote: boolean;
  /** `inactive`: ends when less payload than this passed for so long; 0 bytes: none at all. Undefined or 0 seconds: never. */
  readonly inactive: { readonly seconds: number; readonly bytes: number } | undefined;
  /** `session-timeout`: ends after so long, whatever passes. Undefined or 0: never. */
  readonly sessionTimeoutSeconds: number | undefined;
}
