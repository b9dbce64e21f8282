import { type LinkSocket, UDP_RECEIVE_BUFFER_BYTES } from '@openvpnd/external-mux';

/** What the streams of one client more may put into a socket while this process does not run. */
const BYTES_PER_CLIENT = 64 * 1024;
const MOST_BYTES = 1024 * 1024;

/**
 * What a UDP socket of a server may hold back to be received, in bytes, with so many clients: 64 KiB for each, where that is more than the socket of one
 * client has, at most a mebibyte. It changes when the clients have become twice as many or half.
 */
export function receiveBufferBytes(clients: number): number {
  const doublings = Math.floor(Math.log2(Math.max(clients, 1)));
  return Math.min(MOST_BYTES, Math.max(UDP_RECEIVE_BUFFER_BYTES, BYTES_PER_CLIENT * 2 ** doublings));
}

/** The sockets that all clients of a server share, and how much may wait in them. */
export class ReceiveBuffers {
  readonly #links: LinkSocket[] = [];
  #bytes: number = receiveBufferBytes(0);

  /** A socket of which `rcvbuf` says nothing, open with the size for one client. Others may have brought clients before. */
  add(link: LinkSocket): void {
    this.#links.push(link);
    if (this.#bytes !== receiveBufferBytes(0)) this.#resize(link);
  }

  /** So many clients are connected now. */
  connected(clients: number): void {
    const bytes = receiveBufferBytes(clients);
    if (bytes === this.#bytes) return;
    this.#bytes = bytes;
    for (const link of this.#links) this.#resize(link);
  }

  #resize(link: LinkSocket): void {
    link.resizeBuffers?.({ receiveBufferBytes: this.#bytes });
  }
}
