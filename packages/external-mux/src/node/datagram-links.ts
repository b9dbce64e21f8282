import { linkAddress } from '../endpoint.js';
import type { LinkFactory, LinkListener, PendingLink } from '../link-factory.js';
import type { LinkSocket } from '../ports.js';
import type { UdpLinkOptions } from '../udp-link-options.js';

/** What the links of {@link datagramLinks} come from. */
export interface DatagramLinkOptions {
  /** Gives an id that no open link has. */
  readonly nextId: () => number;
  /**
   * Opens one unconnected datagram socket, bound as it is told: this package's `openUdpLink`, or a native one. What it throws or rejects with is
   * told to whoever asked for the link; its message is OpenVPN's line.
   */
  readonly open: (options: UdpLinkOptions) => LinkSocket | Promise<LinkSocket>;
}

/**
 * UDP, on whatever opens datagram sockets. A link to one peer is a socket of its own in the family of that peer alone, so that it leaves the other family's port
 * free; it does not filter by source, which is the multiplexer's. A listener has one link for all peers.
 */
export function datagramLinks({ nextId, open }: DatagramLinkOptions): LinkFactory {
  return {
    protocol: 'udp',
    connect: ({ remote, local }, opened) => {
      const bound = local === undefined ? { family: remote.family } : { local };
      return opening(
        () => open({ id: nextId(), ...bound, ipv6Only: remote.family === 6 }),
        (link) => opened({ ok: true, link, remote: linkAddress(remote, link.id) }),
        (error) => opened({ ok: false, error }),
      );
    },
    listen: (where, watcher): LinkListener => {
      const pending = opening(
        () => open({ id: nextId(), ...where }),
        (link) => {
          watcher.listening(link.localAddress());
          watcher.link(link, undefined);
        },
        (error) => watcher.failed(error),
      );
      return { close: () => pending.cancel() };
    },
  };
}

/** Opens later and tells of it, unless it is cancelled: then a link that has come into being is closed again. */
function opening(
  open: () => LinkSocket | Promise<LinkSocket>,
  opened: (link: LinkSocket) => void,
  failed: (error: Error) => void,
): PendingLink {
  let cancelled = false;
  void (async (): Promise<void> => {
    await undefined;
    if (cancelled) return;
    let link: LinkSocket;
    try {
      link = await open();
    } catch (error) {
      if (!cancelled) failed(error as Error);
      return;
    }
    if (cancelled) link.close();
    else opened(link);
  })();
  return {
    cancel: () => {
      cancelled = true;
    },
  };
}
