import {
  ADDRESS_LINK,
  ADDRESS_WORDS,
  FATE_DROPPED,
  FATE_TO_LINK,
  type LinkAddress,
  type PacketVector,
} from '@openvpnd/memory';
import { guessStreamProtocol, STREAM_HEADER_BYTES, StreamDeframer } from '@openvpnd/wire';
import { type ArrivalCounters, ArrivalQueue } from '../arrival-queue.js';
import { badLengthError, divertedError, resetError } from '../link-error.js';
import type { ByteStream } from '../link-maker.js';
import type { BufferSizes, LinkSocket, Readiness } from '../ports.js';

/** Packets that wait for the driver before reading stops: some turns. What comes beyond is left to the system, and so to the peer. */
export const TCP_RECEIVE_QUEUE_PACKETS = 256;
/** Control packets that wait for a full connection beside the data; two send windows and their acks. They are repeated if lost. */
export const TCP_CONTROL_PACKETS = 64;

/** What happened on a connection, in packets. */
export interface TcpLinkCounters extends ArrivalCounters {
  sent: number;
  /** Not sent: the connection is gone, the packet is none, or control that was too much. */
  unsent: number;
}

/** A {@link LinkSocket} that is one TCP connection. */
export interface TcpLink extends LinkSocket {
  readonly counters: Readonly<TcpLinkCounters>;
  setNoDelay(): void;
}

export interface TcpLinkSettings {
  readonly id: number;
  /** Connected, and the link's from now on. */
  readonly stream: ByteStream;
  /** Words of this end, and of the other. Not copied; both are given the link's id. */
  readonly local: LinkAddress;
  readonly remote: LinkAddress;
  /** 1 … 65535: a longer packet ends the connection. */
  readonly maxPacketBytes: number;
  /** `--tcp-queue-limit`. */
  readonly queuePackets: number;
  /** What was read off the stream before. */
  readonly first?: Uint8Array;
  /** What a full queue does. `drop`: loses data packets, so that this peer holds up nobody else. `refuse`: holds up who sends. */
  readonly whenFull: 'drop' | 'refuse';
  /**
   * `--port-share`: takes the stream, which nobody listens to any more, with what was read off it, when that is not how OpenVPN begins. The link is over then.
   */
  readonly divert?: (first: Uint8Array) => void;
  /** See `TcpLinkOptions.resizeBuffers`. */
  readonly resizeBuffers?: (descriptor: number, sizes: BufferSizes) => void;
}

/** A connection framed into packets: many packets a write, many packets a read, and a bounded queue either way. */
export class TcpSocketLink implements TcpLink {
  readonly id: number;
  readonly protocol = 'tcp';
  readonly counters: TcpLinkCounters = { sent: 0, received: 0, overflowed: 0, oversized: 0, unsent: 0 };
  readonly #socket: ByteStream;
  readonly #local: LinkAddress;
  readonly #remote: LinkAddress;
  readonly #deframer: StreamDeframer;
  readonly #queuePackets: number;
  readonly #drops: boolean;
  readonly #resizeBuffers: TcpLinkSettings['resizeBuffers'];
  #divert: ((first: Uint8Array) => void) | undefined;
  #first: Uint8Array | undefined;
  #diverted = false;
  readonly #arrivals: ArrivalQueue;
  /** Frames that wait for the write under way, oldest first, and how many packets of each kind are among them. */
  #waiting: Uint8Array[] = [];
  #waitingData = 0;
  #waitingControl = 0;
  #writing = false;
  #closed = false;
  #refused = false;

  constructor(settings: TcpLinkSettings) {
    const { id, stream, local, remote } = settings;
    this.id = id;
    this.#socket = stream;
    this.#local = local;
    this.#remote = remote;
    local[ADDRESS_LINK] = id;
    remote[ADDRESS_LINK] = id;
    this.#arrivals = new ArrivalQueue({ linkId: id, counters: this.counters, soon: setImmediate });
    this.#deframer = new StreamDeframer({ maxPacketBytes: settings.maxPacketBytes });
    this.#queuePackets = settings.queuePackets;
    this.#drops = settings.whenFull === 'drop';
    this.#resizeBuffers = settings.resizeBuffers;
    this.#divert = settings.divert;
    stream.on('data', this.#hear);
    // Half closed is closed: nobody would be there to answer.
    stream.on('end', this.#hearEnd);
    stream.on('error', this.#hearError);
    stream.on('close', this.#hearEnd);
    if (settings.first !== undefined && settings.first.length > 0) this.#arrive(settings.first);
  }

  localAddress(): LinkAddress {
    return this.#local.slice();
  }

  setNoDelay(): void {
    this.#socket.setNoDelay?.(true);
  }

  resizeBuffers(sizes: BufferSizes): void {
    // Node tells it to nobody, and has done so since its beginning.
    const { _handle: handle } = this.#socket as unknown as { readonly _handle?: { readonly fd?: number } | null };
    const descriptor = handle?.fd;
    if (descriptor !== undefined && descriptor >= 0) this.#resizeBuffers?.(descriptor, sizes);
  }

  receiveBatch(rx: PacketVector): number {
    const rows = this.#arrivals.receiveBatch(rx);
    if (this.#open && this.#arrivals.waiting === 0 && this.#socket.isPaused()) this.#socket.resume();
    return rows;
  }

  sendBatch(tx: PacketVector): boolean {
    const room = this.#writing ? this.#queuePackets - this.#waitingData : Number.POSITIVE_INFINITY;
    let bytes = 0;
    let packets = 0;
    let last = -1;
    for (let row = 0; row < tx.count; row += 1) {
      if (!this.#isMine(tx, row)) continue;
      if (packets >= room || !this.#open || tx.length[row] === 0) {
        if (packets >= room && this.#open && !this.#drops) break;
        if (this.#open && tx.length[row] > 0) this.counters.overflowed += 1;
        else this.counters.unsent += 1;
        tx.fate[row] = FATE_DROPPED;
        continue;
      }
      bytes += STREAM_HEADER_BYTES + tx.length[row];
      packets += 1;
      last = row;
    }
    if (packets > 0) this.#sendRows(tx, last, bytes, packets);
    if (this.#drops || !this.#hasRows(tx, last + 1)) return true;
    this.#refused = true;
    return false;
  }

  send(packet: Uint8Array, _to: LinkAddress): void {
    const full = this.#waitingControl >= TCP_CONTROL_PACKETS;
    if (!this.#open || full || packet.length === 0 || packet.length > 0xffff) {
      this.counters.unsent += 1;
      return;
    }
    const frame = Buffer.allocUnsafe(STREAM_HEADER_BYTES + packet.length);
    frame.writeUInt16BE(packet.length, 0);
    frame.set(packet, STREAM_HEADER_BYTES);
    this.#write(frame, 0, 1);
  }

  watch(readiness: Readiness): void {
    this.#arrivals.watch(readiness);
  }

  pause(): void {
    this.#arrivals.pause();
  }

  resume(): void {
    this.#arrivals.resume();
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#arrivals.close();
    this.#waiting = [];
    // What the system has taken it still delivers.
    if (!this.#diverted) this.#socket.destroy();
  }

  get #open(): boolean {
    return this.#arrivals.open;
  }

  #isMine(tx: PacketVector, row: number): boolean {
    return tx.fate[row] === FATE_TO_LINK && tx.addresses[row * ADDRESS_WORDS + ADDRESS_LINK] === this.id;
  }

  #hasRows(tx: PacketVector, from: number): boolean {
    for (let row = from; row < tx.count; row += 1) if (this.#isMine(tx, row)) return true;
    return false;
  }

  /** The rows up to `last` in one piece: one system call for the batch. */
  #sendRows(tx: PacketVector, last: number, bytes: number, packets: number): void {
    const frames = Buffer.allocUnsafe(bytes);
    let at = 0;
    for (let row = 0; row <= last; row += 1) {
      if (!this.#isMine(tx, row)) continue;
      const packet = tx.packet(row);
      frames.writeUInt16BE(packet.length, at);
      frames.set(packet, at + STREAM_HEADER_BYTES);
      at += STREAM_HEADER_BYTES + packet.length;
      tx.fate[row] = FATE_DROPPED;
    }
    this.#write(frames, packets, 0);
  }

  #write(frames: Uint8Array, data: number, control: number): void {
    this.counters.sent += data + control;
    if (this.#writing) {
      this.#waiting.push(frames);
      this.#waitingData += data;
      this.#waitingControl += control;
      return;
    }
    this.#socket.write(frames, this.#written);
    // Mostly the system takes it at once; else the callback tells when it has.
    this.#writing = this.#socket.writableLength > 0;
  }

  readonly #written = (): void => {
    if (!this.#writing || this.#closed || this.#socket.writableLength > 0) return;
    this.#writing = false;
    if (this.#waiting.length > 0) {
      const frames = this.#waiting.length === 1 ? this.#waiting[0] : Buffer.concat(this.#waiting);
      this.#waiting = [];
      this.#waitingData = 0;
      this.#waitingControl = 0;
      this.#socket.write(frames, this.#written);
      this.#writing = this.#socket.writableLength > 0;
    }
    if (!this.#refused) return;
    this.#refused = false;
    this.#arrivals.watcher?.writable();
  };

  readonly #hear = (chunk: Uint8Array): void => this.#arrive(chunk);
  readonly #hearEnd = (): void => this.#finish(resetError('EOF'));
  readonly #hearError = (error: Error & { readonly code?: string }): void =>
    this.#finish(resetError(error.code ?? 'unknown', error));

  #arrive(chunk: Uint8Array): void {
    if (!this.#open) return;
    if (this.#divert !== undefined) this.#sort(this.#divert, chunk);
    else this.#deframe(chunk);
  }

  /** Holds the first bytes until they tell whose protocol it is. */
  #sort(divert: (first: Uint8Array) => void, chunk: Uint8Array): void {
    const first = this.#first === undefined ? chunk : Buffer.concat([this.#first, chunk]);
    this.#first = first;
    switch (guessStreamProtocol(first)) {
      case 'unknown-yet':
        return;
      case 'openvpn':
        this.#divert = undefined;
        this.#first = undefined;
        this.#deframe(first);
        return;
      case 'other':
        this.#socket.off('data', this.#hear);
        this.#socket.off('end', this.#hearEnd);
        this.#socket.off('error', this.#hearError);
        this.#socket.off('close', this.#hearEnd);
        this.#diverted = true;
        divert(first);
        this.#finish(divertedError());
        return;
    }
  }

  #deframe(chunk: Uint8Array): void {
    const packets = this.#deframer.handleBytes(chunk);
    if (!packets.ok) {
      // Behind a wrong length nothing is to be found again, and what came before it in the same piece is no loss.
      this.#finish(badLengthError(this.#deframer.badLength ?? 0, this.#deframer.maxPacketBytes));
      this.#socket.destroy();
      return;
    }
    if (packets.value.length === 0) return;
    for (const packet of packets.value) this.#arrivals.push(packet, this.#remote);
    if (this.#arrivals.waiting >= TCP_RECEIVE_QUEUE_PACKETS) this.#socket.pause();
    this.#arrivals.offer();
  }

  #finish(error: Error): void {
    this.#arrivals.end(error);
    this.#arrivals.offer();
  }
}
