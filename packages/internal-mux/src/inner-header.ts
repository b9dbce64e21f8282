/** What is wrong with an inner packet, or which family it has. */
export const MALFORMED = 0;

/**
 * The IP version of a packet, 4 or 6, when its header is whole and agrees with the packet's length; MALFORMED otherwise. Bytes behind the IP packet are
 * tolerated; jumbograms (RFC 2675) are not.
 */
export function innerVersion(view: DataView, at: number, length: number): 4 | 6 | typeof MALFORMED {
  if (length < 20) return MALFORMED;
  const first = view.getUint8(at);
  if (first >> 4 === 4) {
    const headerBytes = (first & 0x0f) * 4;
    const totalBytes = view.getUint16(at + 2);
    return headerBytes >= 20 && totalBytes >= headerBytes && totalBytes <= length ? 4 : MALFORMED;
  }
  if (first >> 4 !== 6 || length < 40) return MALFORMED;
  const payloadBytes = view.getUint16(at + 4);
  const isJumbo = payloadBytes === 0 && view.getUint8(at + 6) === 0;
  return payloadBytes + 40 <= length && !isJumbo ? 6 : MALFORMED;
}

/** Where the source address stands in a header of this version. */
export function sourceOffset(version: 4 | 6): number {
  return version === 4 ? 12 : 8;
}

/** Where the destination address stands in a header of this version. */
export function destinationOffset(version: 4 | 6): number {
  return version === 4 ? 16 : 24;
}

/** Whether the address at `at` is for many: 224.0.0.0/4, 255.255.255.255, ff00::/8. OpenVPN: mroute_is_mcast(); the limited broadcast is ours. */
export function isForMany(version: 4 | 6, view: DataView, at: number): boolean {
  if (version === 6) return view.getUint8(at) === 0xff;
  return view.getUint8(at) >> 4 === 0xe || view.getUint32(at) === 0xffffffff;
}

/** Whether an IPv6 address is link-local (fe80::/10) or unspecified, as in duplicate address detection: systems send from them unasked. */
export function isUnrouted(view: DataView, at: number): boolean {
  const first = view.getUint32(at);
  if (first >>> 22 === 0xfe80 >>> 6) return true;
  return first === 0 && view.getUint32(at + 4) === 0 && view.getUint32(at + 8) === 0 && view.getUint32(at + 12) === 0;
}
