import type { LinkAddress, PacketVector } from '@openvpnd/memory';

/** What a socket or device calls when its readiness changes. The driver installs one watcher for each. */
export interface Readiness {
  /** There is something to receive. Level-triggered: called again in a later turn while anything is left. */
  readable(): void;
  /** There is room again after a send that was refused. Called once for each refusal. */
  writable(): void;
  /** The socket or device is gone and delivers nothing more. */
  failed(error: Error): void;
}

/** Sizes of the system's buffers for a socket, in bytes; absent: as they are. OpenVPN: --sndbuf, --rcvbuf. */
export interface BufferSizes {
  readonly sendBufferBytes?: number | undefined;
  readonly receiveBufferBytes?: number | undefined;
}

/**
 * A datagram link to OpenVPN peers, or one stream connection that is framed into packets by its adapter.
 * OpenVPN: struct link_socket.
 */
export interface LinkSocket {
  /** Unique among the open links of a process; it is written into the address of every received row. */
  readonly id: number;
  /**
   * Ids in a row that are this link's, from `id` on: one for each local address that it was reached at, so that answers leave from there (`multihome`). Absent: 1.
   */
  readonly idCount?: number;
  readonly protocol: 'udp' | 'tcp';
  /**
   * Whether {@link sendBatch} takes runs: rows that hold several datagrams, one behind the other (`segments` of them, `segmentBytes` long each but the last). Where it is not
   * true, the driver gives each datagram a row of its own.
   */
  readonly sendsRuns?: boolean;
  /** The address this link is bound to. The caller owns the copy. */
  localAddress(): LinkAddress;
  /**
   * Appends received packets as rows (fate RAW, source address, one row a packet) until nothing is left or the
   * vector is full.
   *
   * @returns the number of rows that were added; 0 when nothing waits
   */
  receiveBatch(rx: PacketVector): number;
  /**
   * Sends each row with fate TO_LINK whose address names this link and marks it DROPPED once it is sent or lost for good.
   *
   * @returns false when the socket is full: the rest keeps its fate, and the same vector is to be offered again after `writable`
   */
  sendBatch(tx: PacketVector): boolean;
  /** Sends one packet that stands outside a vector (control). Copies it. A full socket drops it: control is retransmitted. */
  send(packet: Uint8Array, to: LinkAddress): void;
  /** Installs the watcher. Replaces an earlier one. */
  watch(readiness: Readiness): void;
  /** Stops reading until `resume`, without loss of what is queued: back-pressure. */
  pause(): void;
  resume(): void;
  /** Streams: small packets leave at once from now on (TCP_NODELAY). */
  setNoDelay?(): void;
  /** Sizes of the system's buffers in bytes, for links that have any of their own. */
  bufferBytes?(): { readonly receive: number; readonly send: number };
  /** Asks the system for other sizes (`sndbuf`, `rcvbuf` of a server's push, more clients); it may grant less, or nothing. */
  resizeBuffers?(sizes: BufferSizes): void;
  /** Idempotent. */
  close(): void;
}
