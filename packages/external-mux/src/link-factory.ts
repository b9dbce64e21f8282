import type { LinkAddress } from '@openvpnd/memory';
import type { Endpoint } from './endpoint.js';
import type { LinkSocket } from './ports.js';

/** Where a link goes, and from where. */
export interface LinkConnectOptions {
  readonly remote: Endpoint;
  /** Where to bind before; port 0: any. Absent: the system chooses. */
  readonly local?: Endpoint;
}

/** A link to one peer, and the address under which that peer's packets come from it and are to be sent (it names the link). */
export interface OpenedLink {
  readonly link: LinkSocket;
  /** The caller owns it. */
  readonly remote: LinkAddress;
}

/** What became of `connect`. The error's message is OpenVPN's line. */
export type LinkOpening = ({ readonly ok: true } & OpenedLink) | { readonly ok: false; readonly error: Error };

/** Where to listen. */
export interface LinkListenOptions {
  /** Where to bind; port 0 takes one that is free. `::` takes IPv4 too, unless `ipv6Only`. Absent: every address of both families, or of `family`. */
  readonly local?: Endpoint;
  /** The port to bind when `local` is absent. */
  readonly port?: number;
  /** Only this family, when `local` is absent. */
  readonly family?: 4 | 6;
  /** `--bind ipv6only`. */
  readonly ipv6Only?: boolean;
  /** Streams: connections that the system accepts ahead of us; absent: the implementation's choice. */
  readonly backlog?: number;
}

/** What a listener tells. Nothing is called before `listen` has returned. */
export interface ListenWatcher {
  /** It is bound. Once, and first. The caller owns the address. */
  listening(local: LinkAddress): void;
  /**
   * Here is a link: for datagrams one for all peers, at once and with `remote` undefined; for streams one for each peer that comes.
   * It is the watcher's from now on, to be closed by it.
   */
  link(link: LinkSocket, remote: LinkAddress | undefined): void;
  /** Peers are kept waiting, because the system has no room for them (`EMFILE`). It goes on by itself. */
  crowded(error: Error): void;
  /** It could not be bound, and is closed. The message is OpenVPN's line. */
  failed(error: Error): void;
}

/** Something that can be taken back. Idempotent. */
export interface LinkListener {
  /** Stops listening. Links that came of it stay open. */
  close(): void;
}

/** A `connect` under way. */
export interface PendingLink {
  /** Gives up: the callback is not called any more. Without effect afterwards. Idempotent. */
  cancel(): void;
  /** What the log is to say when it is given up because it takes too long, while it waits for something else than a connection to `remote`: whoever took that is silent. */
  overdue?(): Error | undefined;
}

/**
 * Makes the links of one transport: UDP, TCP, or whatever carries packets for OpenVPN. The port for transports of others: what implements it
 * is at home in a client and a server. No promises, so that a simulation can implement it too.
 */
export interface LinkFactory {
  /** `udp`: packets may be lost and peers may move. `tcp`: one link for each peer, nothing is lost, and the peer is gone with its link. */
  readonly protocol: 'udp' | 'tcp';
  /** Opens a link to one peer. `opened` is called once, later, unless it is cancelled. */
  connect(options: LinkConnectOptions, opened: (result: LinkOpening) => void): PendingLink;
  /** Waits for peers. */
  listen(options: LinkListenOptions, watcher: ListenWatcher): LinkListener;
}
