import ipaddr from 'ipaddr.js';

/** An IP address inside the tunnel, in network order: 4 bytes, or 16. */
export type InnerAddress = Uint8Array;

/** A network inside the tunnel. */
export interface Prefix {
  /** Its first address: bits behind `length` are zero. */
  readonly address: InnerAddress;
  /** 0 … 32, or 0 … 128. */
  readonly length: number;
}

/** The bytes of a numeric address (`10.8.0.1`, `fd00::1`); undefined for anything else: names, zones, octal or shortened IPv4. */
export function parseInnerAddress(text: string): InnerAddress | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(text)) return Uint8Array.from(ipaddr.IPv4.parse(text).toByteArray());
  if (!text.includes(':') || text.includes('%') || !ipaddr.IPv6.isValid(text)) return undefined;
  return Uint8Array.from(ipaddr.IPv6.parse(text).toByteArray());
}

/** An address as OpenVPN prints it: dotted decimal, or RFC 5952. */
export function formatInnerAddress(address: InnerAddress): string {
  if (address.length === 4) return address.join('.');
  const parts = Array.from({ length: 8 }, (_, i) => (address[2 * i] << 8) | address[2 * i + 1]);
  return new ipaddr.IPv6(parts).toRFC5952String();
}

/** A network in the notation `10.8.0.0/24`, `fd00::/64`; a bare address is a network of one. Bits behind the length must be zero. */
export function parsePrefix(text: string): Prefix | undefined {
  const [host, bits, ...rest] = text.split('/');
  const address = parseInnerAddress(host);
  if (address === undefined || rest.length > 0) return undefined;
  if (bits === undefined) return { address, length: address.length * 8 };
  if (!/^[0-9]{1,3}$/.test(bits)) return undefined;
  const length = Number(bits);
  if (length > address.length * 8) return undefined;
  const prefix = prefixOf(address, length);
  return prefix.address.every((byte, index) => byte === address[index]) ? prefix : undefined;
}

/** {@link parsePrefix}'s inverse. */
export function formatPrefix(prefix: Prefix): string {
  return `${formatInnerAddress(prefix.address)}/${prefix.length}`;
}

/** The network of `length` bits that an address is in. */
export function prefixOf(address: InnerAddress, length: number): Prefix {
  const masked = address.slice();
  for (let index = 0; index < masked.length; index += 1) {
    const bits = Math.min(8, Math.max(0, length - index * 8));
    masked[index] &= 0xff00 >> bits;
  }
  return { address: masked, length };
}

/** The length that an IPv4 netmask stands for; undefined when its ones are not together. */
export function netmaskLength(netmask: InnerAddress): number | undefined {
  const length = new ipaddr.IPv4([...netmask]).prefixLengthFromSubnetMask();
  return length ?? undefined;
}
