/** The part of an inner packet that tests care about. Addresses in network order: 4 bytes each, or 16. */
export interface InnerPacket {
  readonly source: readonly number[];
  readonly destination: readonly number[];
  readonly payload?: Uint8Array;
  readonly sourcePort?: number;
  readonly destinationPort?: number;
}

/** A whole IPv4 or IPv6 packet with UDP inside and right checksums, as a system would send it. */
export function innerUdp(packet: InnerPacket): Uint8Array {
  const payload = packet.payload ?? new Uint8Array(0);
  const v4 = packet.source.length === 4;
  if (packet.destination.length !== packet.source.length || (!v4 && packet.source.length !== 16)) {
    throw new RangeError('addresses are 4 or 16 bytes, both alike');
  }
  const headerBytes = v4 ? 20 : 40;
  const udpBytes = 8 + payload.length;
  const bytes = new Uint8Array(headerBytes + udpBytes);
  const view = new DataView(bytes.buffer);
  view.setUint16(headerBytes, packet.sourcePort ?? 1000);
  view.setUint16(headerBytes + 2, packet.destinationPort ?? 2000);
  view.setUint16(headerBytes + 4, udpBytes);
  bytes.set(payload, headerBytes + 8);
  const addresses = Uint8Array.from([...packet.source, ...packet.destination]);
  // Pseudo header: addresses, length, protocol 17.
  const sum = onesSum(bytes.subarray(headerBytes), onesSum(addresses, udpBytes + 17));
  view.setUint16(headerBytes + 6, ~sum & 0xffff || 0xffff);
  if (v4) {
    bytes[0] = 0x45;
    view.setUint16(2, bytes.length);
    bytes[8] = 64;
    bytes[9] = 17;
    bytes.set(addresses, 12);
    view.setUint16(10, ~onesSum(bytes.subarray(0, 20), 0) & 0xffff);
  } else {
    bytes[0] = 0x60;
    view.setUint16(4, udpBytes);
    bytes[6] = 17;
    bytes[7] = 64;
    bytes.set(addresses, 8);
  }
  return bytes;
}

/** The payload of what {@link innerUdp} makes; undefined when it is not such a packet. */
export function innerUdpPayload(packet: Uint8Array): Uint8Array | undefined {
  const headerBytes = packet[0] >> 4 === 4 ? 20 : 40;
  if (packet.length < headerBytes + 8 || packet[headerBytes === 20 ? 9 : 6] !== 17) return undefined;
  return packet.slice(headerBytes + 8);
}

/** Folded ones' complement sum of big-endian 16-bit words, begun with `start`. RFC 1071. */
function onesSum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) sum += (bytes[i] << 8) | (bytes[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}
