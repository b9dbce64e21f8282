import { accepted, type Parsed, refused } from './parsed.js';

/** Bytes in front of every packet on a stream: a big-endian u16 that counts the packet and not itself. */
export const STREAM_HEADER_BYTES = 2;

/** A packet with its length in front, ready for a stream. The caller owns the result. */
export function framePacket(packet: Uint8Array): Uint8Array {
  if (packet.length < 1 || packet.length > 0xffff) throw new RangeError(`packet of ${packet.length} bytes on a stream`);
  const framed = new Uint8Array(STREAM_HEADER_BYTES + packet.length);
  framed[0] = packet.length >> 8;
  framed[1] = packet.length & 0xff;
  framed.set(packet, STREAM_HEADER_BYTES);
  return framed;
}

/**
 * Cuts the bytes of a stream into packets, wherever the chunks end. It holds at most one packet, and nothing of it before
 * its length is known and allowed. OpenVPN: stream_buf_added().
 */
export class StreamDeframer {
  /** A longer packet ends the stream. */
  readonly maxPacketBytes: number;
  #header = -1;
  #packet: Uint8Array | undefined;
  #filled = 0;
  #badLength: number | undefined;

  /** @param options.maxPacketBytes 1 … 65535; a longer packet ends the stream */
  constructor(options: { readonly maxPacketBytes: number }) {
    this.maxPacketBytes = options.maxPacketBytes;
  }

  /** The length that ended the stream; undefined while it lives. */
  get badLength(): number | undefined {
    return this.#badLength;
  }

  /**
   * Takes the next bytes.
   *
   * @returns the packets that are complete now, views of `chunk` where possible: borrow them no longer than the chunk.
   *   A refusal is final: the connection is to be closed, since nothing behind a wrong length can be found again.
   */
  handleBytes(chunk: Uint8Array): Parsed<readonly Uint8Array[]> {
    const packets: Uint8Array[] = [];
    let offset = 0;
    while (offset < chunk.length && this.#badLength === undefined) {
      if (!this.#packet) {
        if (this.#header < 0) {
          this.#header = chunk[offset++]!;
          continue;
        }
        const length = (this.#header << 8) | chunk[offset++]!;
        this.#header = -1;
        if (length < 1 || length > this.maxPacketBytes) {
          this.#badLength = length;
          break;
        }
        if (chunk.length - offset >= length) {
          packets.push(chunk.subarray(offset, offset + length));
          offset += length;
          continue;
        }
        this.#packet = new Uint8Array(length);
        this.#filled = 0;
      }
      const part = chunk.subarray(offset, offset + this.#packet.length - this.#filled);
      this.#packet.set(part, this.#filled);
      this.#filled += part.length;
      offset += part.length;
      if (this.#filled === this.#packet.length) {
        packets.push(this.#packet);
        this.#packet = undefined;
      }
    }
    return this.#badLength === undefined ? accepted(packets) : refused('stream: packet length not allowed');
  }
}

/** What the first bytes of a connection say about its protocol, for a port that is shared with another service. */
export type StreamGuess = 'openvpn' | 'other' | 'unknown-yet';

/**
 * Guesses from the first bytes of a connection whether it is OpenVPN: its first packet is a reset of a client, and its
 * length is in a known range. OpenVPN: is_openvpn_protocol(), which takes fewer than two bytes for OpenVPN; here the
 * caller decides about 'unknown-yet'.
 */
export function guessStreamProtocol(bytes: Uint8Array): StreamGuess {
  if (bytes.length < 2) return 'unknown-yet';
  const length = (bytes[0]! << 8) | bytes[1]!;
  if (bytes.length === 2) return length >= 14 && length <= 255 ? 'openvpn' : 'unknown-yet';
  if (bytes[2] === 0x50) return length >= 336 && length <= 1278 ? 'openvpn' : 'other';
  return bytes[2] === 0x38 && length >= 14 && length <= 255 ? 'openvpn' : 'other';
}
