import { isIP } from 'node:net';
import { SocksClient } from 'socks';

/** Reserved, fragment, address type, a name of 255 bytes with its length, port. */
export const LONGEST_HEADER_BYTES: number = 2 + 1 + 1 + 256 + 2;
/** Reserved, fragment, address type, an IPv4 address, port. */
const SHORTEST_HEADER_BYTES = 10;

/** The frames around the datagrams of one target. RFC 1928, section 7. */
export class DatagramFrame {
  readonly #header: Buffer;
  readonly #target: { readonly host: string; readonly port: number };
  readonly #isName: boolean;

  /** @param target an address of either family, or a name of 1 … 255 bytes */
  constructor(target: { readonly host: string; readonly port: number }) {
    this.#target = target;
    this.#isName = isIP(target.host) === 0;
    this.#header = SocksClient.createUDPFrame({
      remoteHost: { host: target.host, port: target.port },
      data: Buffer.alloc(0),
    });
  }

  /** The packet with the header in front, for the relay. The caller owns it. */
  wrap(packet: Uint8Array): Uint8Array {
    return Buffer.concat([this.#header, packet]);
  }

  /**
   * The packet in what the relay has sent, copied; undefined for what is no frame, a fragment (nobody puts them together, and RFC 1928 lets us), empty, or from another
   * than the target. The addresses behind a name are not known, so that there any will do: who it was is the tunnel's to authenticate.
   */
  open(frame: Uint8Array): Uint8Array | undefined {
    if (frame.length <= SHORTEST_HEADER_BYTES || frame[2] !== 0) return undefined;
    const { host, port } = this.#target;
    try {
      const { remoteHost, data } = SocksClient.parseUDPFrame(Buffer.from(frame));
      if (remoteHost.port !== port || data.length === 0) return undefined;
      if (!this.#isName && !sameHost(remoteHost.host, host)) return undefined;
      return data;
    } catch {
      // The library throws where a header is cut short.
      return undefined;
    }
  }
}

function sameHost(a: string, b: string): boolean {
  if (a === b) return true;
  // Two spellings of one IPv6 address make the same header.
  return isIP(a) === 6 && isIP(b) === 6 && addressBytes(a).equals(addressBytes(b));
}

function addressBytes(host: string): Buffer {
  return SocksClient.createUDPFrame({ remoteHost: { host, port: 0 }, data: Buffer.alloc(0) });
}
