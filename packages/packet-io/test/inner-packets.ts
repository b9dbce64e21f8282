/** What a test wants of a TCP segment or UDP datagram, or of a super-packet of them; what is missing is usual. */
export interface Inner {
  readonly version: 4 | 6;
  readonly protocol: 'tcp' | 'udp';
  readonly payload: Uint8Array;
  readonly sourcePort?: number;
  readonly sequence?: number;
  readonly acknowledgement?: number;
  readonly flags?: number;
  readonly window?: number;
  readonly urgent?: number;
  /** TCP options: a multiple of four bytes. */
  readonly options?: Uint8Array;
  /** IPv4 options: a multiple of four bytes. */
  readonly ipOptions?: Uint8Array;
  readonly id?: number;
  readonly mayFragment?: boolean;
  /** Type of service or traffic class, and time to live. */
  readonly tos?: number;
  readonly ttl?: number;
}

export const FIN = 0x01;
export const PSH = 0x08;
export const ACK = 0x10;
export const ECE = 0x40;
export const CWR = 0x80;

/** A packet with right checksums. */
export function innerPacket(inner: Inner): Uint8Array {
  const { version, protocol, payload, options = new Uint8Array(0), ipOptions = new Uint8Array(0) } = inner;
  const transport = version === 4 ? 20 + ipOptions.length : 40;
  const headerBytes = protocol === 'tcp' ? 20 + options.length : 8;
  const packet = new Uint8Array(transport + headerBytes + payload.length);
  const view = new DataView(packet.buffer);
  if (version === 4) {
    packet[0] = 0x40 | (transport / 4);
    packet[1] = inner.tos ?? 0;
    view.setUint16(2, packet.length);
    view.setUint16(4, inner.id ?? 0);
    packet[6] = inner.mayFragment ? 0 : 0x40;
    packet.set([inner.ttl ?? 64, protocol === 'tcp' ? 6 : 17], 8);
    packet.set([10, 8, 0, 2, 10, 8, 0, 1], 12);
    packet.set(ipOptions, 20);
  } else {
    view.setUint32(0, 0x60000000 | ((inner.tos ?? 0) << 20));
    view.setUint16(4, packet.length - 40);
    packet.set([protocol === 'tcp' ? 6 : 17, inner.ttl ?? 64, 0xfd, 8], 6);
    packet[23] = 2;
    packet.set([0xfd, 8], 24);
    packet[39] = 1;
  }
  view.setUint16(transport, inner.sourcePort ?? 40_000);
  view.setUint16(transport + 2, 443);
  if (protocol === 'tcp') {
    view.setUint32(transport + 4, inner.sequence ?? 1);
    view.setUint32(transport + 8, inner.acknowledgement ?? 77);
    packet[transport + 12] = (headerBytes / 4) << 4;
    packet[transport + 13] = inner.flags ?? ACK;
    view.setUint16(transport + 14, inner.window ?? 500);
    view.setUint16(transport + 18, inner.urgent ?? 0);
    packet.set(options, transport + 20);
  } else {
    view.setUint16(transport + 4, 8 + payload.length);
  }
  packet.set(payload, transport + headerBytes);
  fillChecksums(packet);
  return packet;
}

/** Writes the checksums of a TCP or UDP packet anew. */
export function fillChecksums(packet: Uint8Array): void {
  const view = new DataView(packet.buffer, packet.byteOffset, packet.length);
  const isV4 = packet[0] >> 4 === 4;
  const transport = isV4 ? (packet[0] & 15) * 4 : 40;
  const protocol = isV4 ? packet[9] : packet[6];
  if (isV4) {
    view.setUint16(10, 0);
    view.setUint16(10, ~sum(packet.subarray(0, transport), 0) & 0xffff);
  }
  const at = transport + (protocol === 6 ? 16 : 6);
  view.setUint16(at, 0);
  const pseudo = sum(isV4 ? packet.subarray(12, 20) : packet.subarray(8, 40), protocol + packet.length - transport);
  const checksum = ~sum(packet.subarray(transport), pseudo) & 0xffff;
  view.setUint16(at, protocol === 17 && checksum === 0 ? 0xffff : checksum);
}

export function sum(bytes: Uint8Array, start: number): number {
  let total = start;
  for (let at = 0; at < bytes.length; at += 2) total += (bytes[at] << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

/** Bytes that are told apart by their place. */
export function pattern(length: number, seed = 1): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 31 + seed * 17 + (at >> 8)) & 0xff);
}
