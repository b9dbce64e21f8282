import { parseIpv4 } from './ipv4.js';

/** The value of an IPv6 address, 0n to 2^128-1, or undefined. Accepts `::` and a trailing dotted quad; no zone. */
export function parseIpv6(text: string): bigint | undefined {
  if (text.length > 45 || !/^[0-9a-fA-F:.]+$/.test(text)) return undefined;
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  let value = 0n;
  for (const group of [...head, ...new Array<number>(missing).fill(0), ...tail]) {
    value = (value << 16n) | BigInt(group);
  }
  return value;
}

/** The canonical text of an address (RFC 5952: lower case, the first longest run of zeros as `::`). */
export function formatIpv6(value: bigint): string {
  const groups: number[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(Number((value >> shift) & 0xffffn));
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i += 1) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run += 1;
    if (run > length) {
      start = i;
      length = run;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (start < 0) return hex.join(':');
  return `${hex.slice(0, start).join(':')}::${hex.slice(start + length).join(':')}`;
}

/** An address with its prefix length. */
export interface Ipv6Prefix {
  readonly address: bigint;
  /** 0 to 128. */
  readonly bits: number;
}

/** Prefix length of an address that is written without one. */
const DEFAULT_BITS = 64;

/** `address/bits`; as in OpenVPN a missing `/bits` means 64. */
export function parseIpv6Prefix(text: string): Ipv6Prefix | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseIpv6(match[1]);
  const bits = match?.[2] === undefined ? DEFAULT_BITS : Number(match[2]);
  if (address === undefined || bits > 128) return undefined;
  return { address, bits };
}

/** The network address of a prefix: its host bits cleared. */
export function ipv6Network(prefix: Ipv6Prefix): bigint {
  const hostBits = 128n - BigInt(prefix.bits);
  return (prefix.address >> hostBits) << hostBits;
}

function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const quad = last && index === parts.length - 1 ? parseIpv4(part) : undefined;
      if (quad === undefined) return undefined;
      groups.push(quad >>> 16, quad & 0xffff);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}
