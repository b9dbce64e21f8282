import type { InnerAddress } from './inner-address.js';
import { destinationOffset } from './inner-header.js';

/** Where the transport protocol stands, and the IPv6 header's length. */
const IPV4_PROTOCOL = 9;
const IPV4_FRAGMENT = 6;
const IPV6_NEXT_HEADER = 6;
const IPV6_HEADER_BYTES = 40;
const PROTOCOL_NUMBER = { tcp: 6, udp: 17 } as const;

/**
 * Recognises packets of the transport that carries the tunnel itself: to the server's address, protocol and port. As OpenVPN 2.7 does; 2.6 looks at the address alone, and so
 * keeps everything else on that machine out of the tunnel too.
 */
export class OuterTransport {
  readonly #version: 4 | 6;
  readonly #protocol: number;
  readonly #port: number;
  readonly #words: Uint32Array<ArrayBuffer>;

  /** @param options.address of the server; copied */
  constructor(options: { readonly address: InnerAddress; readonly protocol: 'udp' | 'tcp'; readonly port: number }) {
    const { address } = options;
    this.#version = address.length === 4 ? 4 : 6;
    this.#protocol = PROTOCOL_NUMBER[options.protocol];
    this.#port = options.port;
    const view = new DataView(address.buffer, address.byteOffset, address.length);
    this.#words = Uint32Array.from({ length: address.length / 4 }, (_, index) => view.getUint32(index * 4));
  }

  /** Whether a whole IP packet at `at` goes to the server's address, be it to the tunnel or not. */
  isAt(version: 4 | 6, view: DataView, at: number): boolean {
    if (version !== this.#version) return false;
    const destination = at + destinationOffset(version);
    const words = this.#words;
    for (let word = 0; word < words.length; word += 1) {
      if (view.getUint32(destination + word * 4) !== words[word]) return false;
    }
    return true;
  }

  /** Whether a whole IP packet at `at` is one of those. Fragments without a port and IPv6 with extension headers are none. */
  carries(version: 4 | 6, view: DataView, at: number, length: number): boolean {
    if (!this.isAt(version, view, at)) return false;
    const protocolAt = version === 4 ? IPV4_PROTOCOL : IPV6_NEXT_HEADER;
    if (view.getUint8(at + protocolAt) !== this.#protocol) return false;
    if (version === 4 && (view.getUint16(at + IPV4_FRAGMENT) & 0x1fff) !== 0) return false;
    const headerBytes = version === 4 ? (view.getUint8(at) & 0x0f) * 4 : IPV6_HEADER_BYTES;
    return length >= headerBytes + 4 && view.getUint16(at + headerBytes + 2) === this.#port;
  }
}
