import type { PacketCarrier, PacketFeed } from '@openvpnd/external-mux';
import type { WebSocket } from 'ws';

/** The largest packet that OpenVPN knows. */
export const MAX_PACKET_BYTES = 65_535;
/** What may wait for the network before the tunnel has to. */
const FULL_BYTES = 256 << 10;

/** Packets as messages of an open WebSocket. */
export class WebSocketCarrier implements PacketCarrier {
  readonly #socket: WebSocket;
  readonly #feed: PacketFeed;
  #wasFull = false;

  constructor(socket: WebSocket, feed: PacketFeed) {
    this.#socket = socket;
    this.#feed = feed;
    // One Buffer for each message, which nobody else has: that is how ws delivers them unless it is told otherwise.
    socket.on('message', (packet, isBinary) => {
      if (isBinary) feed.packet(packet as Buffer);
    });
    socket.on('close', (code) =>
      feed.end(new Error(`Connection reset, restarting [0] (WebSocket closed with code ${code})`)),
    );
    // 'close' follows.
    socket.on('error', () => {});
  }

  get full(): boolean {
    this.#wasFull ||= this.#socket.bufferedAmount >= FULL_BYTES;
    return this.#wasFull;
  }

  send(packet: Uint8Array): void {
    // A copy: ws may keep the bytes, and they are ours until we return only.
    this.#socket.send(Buffer.from(packet), { binary: true }, () => {
      if (!this.#wasFull || this.#socket.bufferedAmount > FULL_BYTES / 2) return;
      this.#wasFull = false;
      this.#feed.room();
    });
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  close(): void {
    this.#socket.close();
  }
}
