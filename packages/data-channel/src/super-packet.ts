import type { PacketVector } from '@openvpnd/memory';

const PROTOCOL_TCP = 6;
const PROTOCOL_UDP = 17;
const IPV6_HEADER_BYTES = 40;
const TCP_HEADER_BYTES = 20;
const UDP_HEADER_BYTES = 8;
/** Hop-by-hop, routing and destination options may stand in front of the transport header (RFC 8200). */
const EXTENSION_HEADERS: readonly number[] = [0, 43, 60];
const ROUTING_HEADER = 43;
const MAX_EXTENSION_HEADERS = 4;
const TCP_CWR = 0x80;
const TCP_PSH = 0x08;
const TCP_FIN = 0x01;

interface Headers {
  readonly version: 4 | 6;
  readonly isUdp: boolean;
  /** Offsets from the start of the packet. */
  readonly transport: number;
  readonly payload: number;
}

/**
 * Splits a super-packet, as a device with segmentation offload delivers it, into the packets that it stands for: each becomes a further row with the
 * fate and slot of the first, in their order. The row itself is left to the caller. Its checksums need not be right: those of the packets are
 * worked out anew. A backend that seals super-packets splits them in the same way, byte by byte.
 *
 * Sequence numbers and IPv4 ids go on from packet to packet; CWR stays in the first, PSH and FIN in the last.
 *
 * @returns false when the row is no such packet, or there is no room; then nothing was added
 */
export function splitSuperPacket(vector: PacketVector, row: number): boolean {
  const { bytes, view } = vector;
  const start = vector.offset[row];
  const length = vector.length[row];
  const step = vector.segmentBytes[row];
  const headers = readHeaders(view, start, length);
  if (headers === undefined || step === 0) return false;
  const { transport, payload, isUdp, version } = headers;
  const count = Math.ceil((length - payload) / step);
  if (count !== vector.segments[row] || count < 2 || count > vector.room || payload + step > vector.packetBytes) {
    return false;
  }
  for (let index = 0; index < count; index++) {
    const from = start + payload + index * step;
    const to = Math.min(from + step, start + length);
    const part = vector.append();
    const at = vector.offset[part];
    const partBytes = payload + to - from;
    bytes.copyWithin(at, start, start + payload);
    bytes.copyWithin(at + payload, from, to);
    vector.length[part] = partBytes;
    vector.slot[part] = vector.slot[row];
    vector.fate[part] = vector.fate[row];
    vector.trafficClass[part] = vector.trafficClass[row];
    if (version === 4) {
      view.setUint16(at + 2, partBytes);
      view.setUint16(at + 4, view.getUint16(at + 4) + index);
      view.setUint16(at + 10, 0);
      view.setUint16(at + 10, ~sum(bytes, at, transport, 0) & 0xffff);
    } else {
      view.setUint16(at + 4, partBytes - IPV6_HEADER_BYTES);
    }
    if (isUdp) {
      view.setUint16(at + transport + 4, partBytes - transport);
    } else {
      view.setUint32(at + transport + 4, view.getUint32(at + transport + 4) + index * step);
      if (index > 0) bytes[at + transport + 13] &= ~TCP_CWR;
      if (index < count - 1) bytes[at + transport + 13] &= ~(TCP_PSH | TCP_FIN);
    }
    const checksumAt = at + transport + (isUdp ? 6 : 16);
    view.setUint16(checksumAt, 0);
    const addresses = version === 4 ? sum(bytes, at + 12, 8, 0) : sum(bytes, at + 8, 32, 0);
    const pseudo = addresses + (isUdp ? PROTOCOL_UDP : PROTOCOL_TCP) + partBytes - transport;
    const checksum = ~sum(bytes, at + transport, partBytes - transport, pseudo) & 0xffff;
    // A UDP checksum of zero says that there is none (RFC 768).
    view.setUint16(checksumAt, isUdp && checksum === 0 ? 0xffff : checksum);
  }
  return true;
}

/** The headers of a whole TCP segment or UDP datagram; undefined for everything else, fragments among it. */
function readHeaders(view: DataView, at: number, length: number): Headers | undefined {
  if (length < 28) return undefined;
  const version = view.getUint8(at) >> 4;
  let transport: number;
  let protocol: number;
  if (version === 4) {
    transport = (view.getUint8(at) & 0x0f) * 4;
    protocol = view.getUint8(at + 9);
    if (transport < 20 || view.getUint16(at + 2) !== length || (view.getUint16(at + 6) & 0x3fff) !== 0)
      return undefined;
  } else if (version === 6) {
    if (length < 48 || view.getUint16(at + 4) + IPV6_HEADER_BYTES !== length) return undefined;
    transport = IPV6_HEADER_BYTES;
    protocol = view.getUint8(at + 6);
    for (let headers = 0; EXTENSION_HEADERS.includes(protocol); headers++) {
      if (headers === MAX_EXTENSION_HEADERS || transport + 8 > length) return undefined;
      // The checksum covers the last destination, which is not the one in the header while routers are left.
      if (protocol === ROUTING_HEADER && view.getUint8(at + transport + 3) !== 0) return undefined;
      protocol = view.getUint8(at + transport);
      transport += (view.getUint8(at + transport + 1) + 1) * 8;
    }
  } else {
    return undefined;
  }
  const isUdp = protocol === PROTOCOL_UDP;
  if (!isUdp && protocol !== PROTOCOL_TCP) return undefined;
  if (transport + (isUdp ? UDP_HEADER_BYTES : TCP_HEADER_BYTES) > length) return undefined;
  if (isUdp && view.getUint16(at + transport + 4) + transport !== length) return undefined;
  const headerBytes = isUdp ? UDP_HEADER_BYTES : (view.getUint8(at + transport + 12) >> 4) * 4;
  const payload = transport + headerBytes;
  if ((!isUdp && headerBytes < TCP_HEADER_BYTES) || payload > length) return undefined;
  return { version, isUdp, transport, payload };
}

/** The folded ones' complement sum of 16-bit words (RFC 1071), with `initial` added. */
function sum(bytes: Uint8Array, at: number, length: number, initial: number): number {
  let total = initial;
  const even = at + (length & ~1);
  for (let index = at; index < even; index += 2) total += (bytes[index] << 8) | bytes[index + 1];
  if (length & 1) total += bytes[even] << 8;
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}
