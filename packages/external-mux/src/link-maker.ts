import type { Endpoint } from './endpoint.js';
import type { LinkConnectOptions, LinkFactory, OpenedLink, PendingLink } from './link-factory.js';

/** The two ends of a link, as it shows them. `local` absent: not known. */
export interface LinkEnds {
  readonly remote: Endpoint;
  readonly local?: Endpoint;
}

/**
 * A connected stream of bytes: a `net.Socket`, a `tls.TLSSocket`, any `stream.Duplex` of node. Described by its shape, so that pure code can name it.
 */
export interface ByteStream {
  /** Bytes that have been written and not yet taken by the system. */
  readonly writableLength: number;
  write(bytes: Uint8Array, written: () => void): boolean;
  pause(): unknown;
  resume(): unknown;
  isPaused(): boolean;
  setNoDelay?(on: boolean): unknown;
  destroy(): unknown;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'end' | 'close', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error & { readonly code?: string }) => void): unknown;
  off(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  off(event: 'end' | 'close', listener: () => void): unknown;
  off(event: 'error', listener: (error: Error & { readonly code?: string }) => void): unknown;
}

/** What became of `dial`. The stream is the caller's; the error's message is OpenVPN's line. */
export type Dialling =
  | { readonly ok: true; readonly stream: ByteStream; readonly ends: LinkEnds }
  | { readonly ok: false; readonly error: Error };

/** What carries whole packets to one peer and back: a WebSocket, a relay. */
export interface PacketCarrier {
  /**
   * Whether it has more to send than it should. Nothing is given to it then, until it calls {@link PacketFeed.room}; what the tunnel has meanwhile waits or
   * is dropped.
   */
  readonly full: boolean;
  /** Sends one packet, 1 … 65535 bytes, which is borrowed until the call returns. Does not throw; what cannot be sent is lost. */
  send(packet: Uint8Array): void;
  /** Stops reading, and goes on: nobody takes what arrives. Absent: what arrives meanwhile is lost. */
  pause?(): void;
  resume?(): void;
  /** Called once, when the link is closed; the feed is deaf from then on. */
  close(): void;
}

/** Where a {@link PacketCarrier} tells what happens to it. */
export interface PacketFeed {
  /** A packet has arrived. The link owns its bytes from now on. */
  packet(bytes: Uint8Array): void;
  /** It is not full any more. */
  room(): void;
  /** It is over; the message is a line for the log. The first time counts; what arrived before is still taken. The watcher of the link gets a LinkError with code `ERR_LINK_RESET`. */
  end(error: Error): void;
}

/** What kind of transport carries packets: `udp` may lose them, `tcp` loses none, or else ends. */
export interface PacketLinkEnds extends LinkEnds {
  readonly protocol: LinkFactory['protocol'];
}

/**
 * Makes links on what a transport has opened: framing, queues, batches and readiness are no business of the transport then. The process has one for each
 * connection entry or listener, with the sizes and limits of its options.
 */
export interface LinkMaker {
  /**
   * A TCP connection with the socket options of the configuration, to whatever the transport begins with. It is a `net.Socket` that nobody listens to yet.
   * `dialled` is called once, later, unless it is cancelled.
   */
  dial(options: LinkConnectOptions, dialled: (result: Dialling) => void): PendingLink;
  /**
   * A link on a connected stream, where each packet has its length in front. The link owns the stream from now on.
   *
   * @param first what was read off the stream before and belongs to the link
   */
  stream(stream: ByteStream, ends: LinkEnds, first?: Uint8Array): OpenedLink;
  /** A link on a carrier of whole packets, which `carrier` makes when it is given its feed. */
  packets(ends: PacketLinkEnds, carrier: (feed: PacketFeed) => PacketCarrier): OpenedLink;
}

/** What a transport module is given, once for each connection entry or listener that uses it. */
export interface TransportSetup {
  /** What stands behind the module in `--transport MODULE [args]`. */
  readonly args: readonly string[];
  /** Which end this is: a client calls `connect`, a server `listen`. */
  readonly role: 'client' | 'server';
  /** `--remote` as it was written; absent in a server. */
  readonly remote?: { readonly host: string; readonly port: number };
  readonly links: LinkMaker;
  /** Writes a line to the daemon's log. */
  log(line: string): void;
}

/**
 * The default export of a module for `--transport`: makes the {@link LinkFactory} of one connection entry or listener. What it throws ends the daemon; the
 * message is a line for the log. A module that has to wait for something does so while it is loaded (top-level await).
 */
export type Transport = (setup: TransportSetup) => LinkFactory;
