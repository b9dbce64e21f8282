import { isIP, isIPv6 } from 'node:net';
import type {
  ByteStream,
  Endpoint,
  LinkConnectOptions,
  LinkFactory,
  LinkOpening,
  LinkSocket,
  OpenedLink,
  PacketCarrier,
  PacketFeed,
  PendingLink,
} from '@openvpnd/external-mux';
import { PacketVector } from '@openvpnd/memory';
import type { SocksRemoteHost } from 'socks';
import { DatagramFrame, LONGEST_HEADER_BYTES } from './datagram-frame.js';
import { BAD_ADDRESS_TYPE, negotiate } from './negotiate.js';
import { refuseToListen } from './socks-links.js';
import { SocksProxyError } from './socks-proxy-error.js';
import type { SocksDatagramOptions } from './socks-proxy-options.js';

/** Datagrams that are taken off the relay's socket at a time. */
const BATCH = 64;

/**
 * UDP links to a server behind a SOCKS 5 proxy: the proxy is told over TCP to relay datagrams for as long as that connection lasts. The link's remote is the address of the proxy that
 * `connect` is given. RFC 1928, UDP ASSOCIATE. OpenVPN: `--socks-proxy` with `--proto udp`, there for IPv4 alone.
 */
export function socksDatagramLinks(options: SocksDatagramOptions): LinkFactory {
  return {
    protocol: 'udp',
    connect: (where, opened) => new Association(options, where, opened),
    listen: (_where, watcher) => refuseToListen(watcher),
  };
}

class Association implements PendingLink {
  readonly #options: SocksDatagramOptions;
  readonly #where: LinkConnectOptions;
  #opened: ((result: LinkOpening) => void) | undefined;
  #pending: PendingLink;

  constructor(options: SocksDatagramOptions, where: LinkConnectOptions, opened: (result: LinkOpening) => void) {
    this.#options = options;
    this.#where = where;
    this.#opened = opened;
    // The control connection has no use for the port that the tunnel is to be bound to.
    this.#pending = negotiate(options, 'associate', { remote: where.remote }, (result) => {
      if (result.ok) this.#openRelay(result.stream, result.bound);
      else this.#finish(result);
    });
  }

  cancel(): void {
    if (this.#opened === undefined) return;
    this.#opened = undefined;
    this.#pending.cancel();
  }

  overdue(): Error | undefined {
    return this.#pending.overdue?.();
  }

  #openRelay(control: ByteStream, bound: SocksRemoteHost): void {
    const relay = relayEndpoint(bound, this.#where.remote);
    if (relay === undefined) {
      control.destroy();
      this.#finish({
        ok: false,
        error: new SocksProxyError(BAD_ADDRESS_TYPE),
      });
      return;
    }
    this.#options.log?.info('socks-proxy.relay', { family: relay.family, address: relay.address, port: relay.port });
    const { local } = this.#where;
    const sameFamily = local !== undefined && local.family === relay.family;
    const attempt = this.#options.datagrams.connect({ remote: relay, ...(sameFamily ? { local } : {}) }, (result) => {
      if (result.ok) return this.#finish({ ok: true, ...this.#wrap(control, result) });
      control.destroy();
      this.#finish(result);
    });
    this.#pending = {
      cancel: () => {
        attempt.cancel();
        control.destroy();
      },
    };
  }

  #wrap(control: ByteStream, relay: OpenedLink): OpenedLink {
    const { links, target, maxPacketBytes } = this.#options;
    return links.packets({ protocol: 'udp', remote: this.#where.remote }, (feed) => {
      const end = (): void => feed.end(new SocksProxyError('Connection reset, restarting [0]'));
      // Nothing more is said on it; it only has to last.
      control.on('data', () => {});
      control.on('end', end);
      control.on('close', end);
      control.resume();
      return new RelayCarrier({ control, relay, frame: new DatagramFrame(target), feed, maxPacketBytes });
    });
  }

  #finish(result: LinkOpening): void {
    const opened = this.#opened;
    this.#opened = undefined;
    opened?.(result);
  }
}

interface RelayCarrierOptions {
  readonly control: ByteStream;
  readonly relay: OpenedLink;
  readonly frame: DatagramFrame;
  readonly feed: PacketFeed;
  readonly maxPacketBytes: number;
}

/** Packets in the frames of RFC 1928, section 7, on a plain link to the relay. */
class RelayCarrier implements PacketCarrier {
  readonly full = false;
  readonly #control: ByteStream;
  readonly #link: LinkSocket;
  readonly #options: RelayCarrierOptions;

  constructor(options: RelayCarrierOptions) {
    const { relay, feed, frame, maxPacketBytes } = options;
    this.#options = options;
    this.#control = options.control;
    this.#link = relay.link;
    const packetBytes = maxPacketBytes + LONGEST_HEADER_BYTES;
    const rx = new PacketVector({ capacity: BATCH, headroom: 0, packetBytes, tailroom: 0 });
    relay.link.watch({
      readable: () => {
        rx.reset();
        relay.link.receiveBatch(rx);
        for (let row = 0; row < rx.count; row += 1) {
          const packet = frame.open(rx.packet(row));
          if (packet !== undefined) feed.packet(packet);
        }
      },
      writable: () => {},
      failed: (error) => feed.end(error),
    });
  }

  send(packet: Uint8Array): void {
    this.#link.send(this.#options.frame.wrap(packet), this.#options.relay.remote);
  }

  pause(): void {
    this.#link.pause();
  }

  resume(): void {
    this.#link.resume();
  }

  close(): void {
    this.#link.close();
    this.#control.destroy();
  }
}

/** Where the proxy wants datagrams: an unspecified address stands for its own. A name is of no use. */
function relayEndpoint(bound: SocksRemoteHost, proxy: Endpoint): Endpoint | undefined {
  if (bound.port === 0) return undefined;
  const { host, port } = bound;
  const unspecified = host === undefined || host === '0.0.0.0' || host === '::';
  if (unspecified) return { ...proxy, port };
  if (isIP(host) === 0) return undefined;
  return { family: isIPv6(host) ? 6 : 4, address: host, port };
}
