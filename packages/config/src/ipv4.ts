/**
 * An IPv4 address as a number from a dotted quad, 0 to 2^32-1, or undefined. Exactly four decimal parts; no octal, no
 * short forms.
 */
export function parseIpv4(text: string): number | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return undefined;
  let value = 0;
  for (const part of match.slice(1)) {
    const octet = Number(part);
    if (octet > 255) return undefined;
    value = value * 256 + octet;
  }
  return value;
}

/** The dotted quad of a number from 0 to 2^32-1. */
export function formatIpv4(value: number): string {
  return [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255].join('.');
}

/** The prefix length of a contiguous netmask (0 to 32), or undefined for one with holes. */
export function netmaskBits(mask: number): number | undefined {
  for (let bits = 0; bits <= 32; bits += 1) {
    if (netmaskOf(bits) === mask) return bits;
  }
  return undefined;
}

/** The netmask of a prefix length from 0 to 32, as a number. */
export function netmaskOf(bits: number): number {
  return bits === 0 ? 0 : (0xffff_ffff << (32 - bits)) >>> 0;
}
