import type { ConnectionEntry, LinkOptions, PingOptions } from './connection-entry.js';
import type { DeviceOptions, DnsOptions, RouteOptions } from './device-options.js';
import type { Listener } from './listener.js';
import type { LogOptions, ProcessOptions } from './process-options.js';
import type { ClientOptions, ServerOptions } from './server-options.js';
import type { DataChannelOptions, StaticKeyOptions, TlsOptions } from './tls-options.js';

/** A whole configuration: macros expanded, defaults filled in, checked for contradictions, frozen. No file was read. */
export interface Options {
  /** `mode`. */
  readonly mode: 'p2p' | 'server';
  readonly process: ProcessOptions;
  readonly log: LogOptions;
  readonly link: LinkOptions;
  /** At least one. Those of a server are its listeners. */
  readonly connections: readonly ConnectionEntry[];
  /** Where a server listens, at least one; a client has none. */
  readonly listeners: readonly Listener[];
  readonly ping: PingOptions;
  readonly device: DeviceOptions;
  readonly routes: RouteOptions;
  readonly dns: DnsOptions;
  /** Of no meaning with a static key. */
  readonly tls: TlsOptions;
  /** Present with `secret`: there is no TLS then. */
  readonly staticKey: StaticKeyOptions | undefined;
  readonly dataChannel: DataChannelOptions;
  /** Present with `mode server`. */
  readonly server: ServerOptions | undefined;
  /** Present with `pull`. */
  readonly client: ClientOptions | undefined;
}
