import { ADDRESS_WORDS, type LinkAddress } from '@openvpnd/memory';
import { type Endpoint, linkAddress, parseEndpoint } from '../endpoint.js';
import type { LinkMaker } from '../link-maker.js';
import type { BufferSizes } from '../ports.js';
import { PacketLink } from './packet-link.js';
import { dialTcp, type TcpDialOptions } from './tcp-dial.js';
import { TcpSocketLink } from './tcp-link.js';

/** What the links of {@link linkMaker} have in common. */
export interface LinkMakerOptions {
  /** Gives an id that no open link has. */
  readonly nextId: () => number;
  /** 1 … 65535: the largest packet that is taken off a stream; a longer one ends it. What a driver has rows for. */
  readonly maxPacketBytes: number;
  /** `--tcp-queue-limit`: data packets that wait for a full stream. */
  readonly queuePackets: number;
  /**
   * What a full link does. `drop`: loses data packets, so that one stalled peer of a server holds up nobody else. `refuse`: the link is full, and its driver
   * waits.
   */
  readonly whenFull: 'drop' | 'refuse';
  /** `--tcp-nodelay`, `--socket-flags TCP_NODELAY`. */
  readonly noDelay?: boolean;
  /** See `TcpDialOptions`. */
  readonly openSocket?: TcpDialOptions['openSocket'];
  /** Sets the buffers of a connection by its descriptor, as node:net cannot. */
  readonly resizeBuffers?: (descriptor: number, sizes: BufferSizes) => void;
}

/** A {@link LinkMaker} on node's streams. */
export function linkMaker(options: LinkMakerOptions): LinkMaker {
  const { nextId, maxPacketBytes, queuePackets, whenFull, noDelay = false, openSocket, resizeBuffers } = options;
  const limits = { maxPacketBytes, queuePackets, whenFull, ...(resizeBuffers && { resizeBuffers }) };
  return {
    dial: (where, dialled) =>
      dialTcp({ noDelay, ...(openSocket && { openSocket }) }, where, (result) => {
        if (!result.ok) return dialled(result);
        const { socket } = result;
        const local = parseEndpoint(socket.localAddress ?? '', socket.localPort ?? 0);
        dialled({
          ok: true,
          stream: socket,
          ends: { remote: where.remote, ...(local === undefined ? {} : { local }) },
        });
      }),
    stream: (stream, ends, first) => {
      const remote = linkAddress(ends.remote);
      const local = wordsOf(ends.local);
      const link = new TcpSocketLink({
        id: nextId(),
        stream,
        local,
        remote,
        ...limits,
        ...(first === undefined ? {} : { first }),
      });
      if (noDelay) link.setNoDelay();
      return { link, remote: remote.slice() };
    },
    packets: (ends, carrier) => {
      const remote = linkAddress(ends.remote);
      const { protocol } = ends;
      const link = new PacketLink({ id: nextId(), protocol, local: wordsOf(ends.local), remote, carrier, whenFull });
      return { link, remote: remote.slice() };
    },
  };
}

function wordsOf(endpoint: Endpoint | undefined): LinkAddress {
  return endpoint === undefined ? new Uint32Array(ADDRESS_WORDS) : linkAddress(endpoint);
}
