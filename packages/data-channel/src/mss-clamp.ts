const PROTOCOL_TCP = 6;
const TCP_HEADER_BYTES = 20;
const CHECKSUM_AT = 16;
const SYN = 0x02;
const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_MSS = 2;
const MSS_OPTION_BYTES = 4;
/** An IPv6 header is that much longer than an IPv4 header, so that its MSS is smaller. */
const IPV6_EXTRA_BYTES = 20;

/**
 * Lowers the MSS option of a TCP SYN to `mss` (20 less in IPv6) in place, and its checksum with it. Everything else, be it no
 * SYN, no IP packet or no sense at all, stays as it is. IPv6 extension headers and fragments are not looked into.
 *
 * @param mss for IPv4, as `mssOf()` of keygen gives it
 * @returns whether the packet was changed
 *
 * OpenVPN: mss_fixup_ipv4(), mss_fixup_ipv6(); checksum: RFC 1624.
 */
export function clampMss(bytes: Uint8Array, offset: number, length: number, mss: number): boolean {
  if (length < 40) return false;
  const version = bytes[offset] >> 4;
  if (version === 4) {
    const headerBytes = (bytes[offset] & 0x0f) * 4;
    if (bytes[offset + 9] !== PROTOCOL_TCP || headerBytes < 20) return false;
    // Only the first fragment holds the TCP header.
    if (((bytes[offset + 6] & 0x1f) | bytes[offset + 7]) !== 0) return false;
    return clampSegment(bytes, offset + headerBytes, length - headerBytes, mss);
  }
  if (version === 6) {
    if (bytes[offset + 6] !== PROTOCOL_TCP) return false;
    return clampSegment(bytes, offset + 40, length - 40, mss - IPV6_EXTRA_BYTES);
  }
  return false;
}

function clampSegment(bytes: Uint8Array, start: number, length: number, mss: number): boolean {
  if (length <= TCP_HEADER_BYTES || (bytes[start + 13] & SYN) === 0) return false;
  const headerBytes = (bytes[start + 12] >> 4) * 4;
  if (headerBytes > length) return false;
  let changed = false;
  let at = TCP_HEADER_BYTES;
  while (at < headerBytes) {
    const kind = bytes[start + at];
    if (kind === OPTION_END) break;
    if (kind === OPTION_NOP) {
      at += 1;
      continue;
    }
    // Shorter than its own kind and length, or past the header: the rest cannot be read (CVE-2017-7508).
    if (at + 1 >= headerBytes) break;
    const optionBytes = bytes[start + at + 1];
    if (optionBytes < 2 || at + optionBytes > headerBytes) break;
    if (kind === OPTION_MSS && optionBytes === MSS_OPTION_BYTES)
      changed = lowerMss(bytes, start, at + 2, mss) || changed;
    at += optionBytes;
  }
  return changed;
}

function lowerMss(bytes: Uint8Array, start: number, at: number, mss: number): boolean {
  const old = (bytes[start + at] << 8) | bytes[start + at + 1];
  if (old <= mss || mss < 0) return false;
  bytes[start + at] = mss >> 8;
  bytes[start + at + 1] = mss & 0xff;
  const checksumAt = start + CHECKSUM_AT;
  const checksum = (bytes[checksumAt] << 8) | bytes[checksumAt + 1];
  // At an odd place the two bytes belong to two words of the sum: that is the sum of the swapped value.
  const odd = (at & 1) === 1;
  const before = odd ? swapped(old) : old;
  const after = odd ? swapped(mss) : mss;
  let sum = (~checksum & 0xffff) + (~before & 0xffff) + after;
  sum = (sum & 0xffff) + (sum >>> 16);
  sum = (sum & 0xffff) + (sum >>> 16);
  const updated = ~sum & 0xffff;
  bytes[checksumAt] = updated >> 8;
  bytes[checksumAt + 1] = updated & 0xff;
  return true;
}

function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}
