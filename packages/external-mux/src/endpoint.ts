import {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_LINK,
  ADDRESS_PORT,
  ADDRESS_SCOPE,
  ADDRESS_WORDS,
  type LinkAddress,
} from '@openvpnd/memory';
import ipaddr from 'ipaddr.js';
import { sameWords } from './address-table.js';

/** A transport address as people write it. */
export interface Endpoint {
  readonly family: 4 | 6;
  /** Dotted decimal, or IPv6 as RFC 5952 writes it; without scope and brackets. */
  readonly address: string;
  /** 0 … 65535. */
  readonly port: number;
  /** Scope id of a link-local IPv6 address; 0 or absent: none. */
  readonly scope?: number;
}

/**
 * The numeric address `host` with a port, or undefined when it is not one: names, octal and shortened IPv4, ports outside 0 … 65535
 * and named zones are none. A numeric zone (`fe80::1%3`) becomes the scope.
 */
export function parseEndpoint(host: string, port: number): Endpoint | undefined {
  if (!Number.isInteger(port) || port < 0 || port > 65535) return undefined;
  if (ipaddr.IPv4.isValidFourPartDecimal(host)) return { family: 4, address: host, port };
  if (!host.includes(':') || !ipaddr.IPv6.isValid(host)) return undefined;
  const parsed = ipaddr.IPv6.parse(host);
  const zone = parsed.zoneId;
  if (zone === undefined) return { family: 6, address: formatIpv6(parsed.parts), port };
  if (!/^[0-9]{1,9}$/.test(zone)) return undefined;
  return { family: 6, address: formatIpv6(parsed.parts), port, scope: Number(zone) };
}

/**
 * The words of an endpoint on a link, freshly allocated.
 *
 * @throws RangeError when `endpoint.address` is not an address of its family: use {@link parseEndpoint} for text from outside
 */
export function linkAddress(endpoint: Endpoint, link = 0): LinkAddress {
  const words = new Uint32Array(ADDRESS_WORDS);
  words[ADDRESS_FAMILY] = endpoint.family;
  words[ADDRESS_PORT] = endpoint.port;
  words[ADDRESS_LINK] = link;
  if (endpoint.family === 4) {
    if (!ipaddr.IPv4.isValidFourPartDecimal(endpoint.address))
      throw new RangeError(`not an IPv4 address: ${endpoint.address}`);
    const [a, b, c, d] = ipaddr.IPv4.parse(endpoint.address).octets;
    words[ADDRESS_HOST] = (a << 24) | (b << 16) | (c << 8) | d;
    return words;
  }
  if (!ipaddr.IPv6.isValid(endpoint.address)) throw new RangeError(`not an IPv6 address: ${endpoint.address}`);
  const { parts } = ipaddr.IPv6.parse(endpoint.address);
  for (let i = 0; i < 4; i += 1) words[ADDRESS_HOST + i] = (parts[2 * i] << 16) | parts[2 * i + 1];
  words[ADDRESS_SCOPE] = endpoint.scope ?? 0;
  return words;
}

/** The endpoint in a link address; undefined when it holds no address (family 0). */
export function endpointOf(address: LinkAddress): Endpoint | undefined {
  const port = address[ADDRESS_PORT];
  if (address[ADDRESS_FAMILY] === 4) {
    return { family: 4, address: formatIpv4(address[ADDRESS_HOST]), port };
  }
  if (address[ADDRESS_FAMILY] !== 6) return undefined;
  const parts: number[] = [];
  for (let i = 0; i < 4; i += 1) parts.push(address[ADDRESS_HOST + i] >>> 16, address[ADDRESS_HOST + i] & 0xffff);
  const scope = address[ADDRESS_SCOPE];
  return scope === 0
    ? { family: 6, address: formatIpv6(parts), port }
    : { family: 6, address: formatIpv6(parts), port, scope };
}

/**
 * An address as OpenVPN's log tells it: `[AF_INET]192.0.2.1:1194`, `[AF_INET6]2001:db8::1:1194` (no brackets around the host),
 * `[AF_INET][undef]:1194` for the wildcard, `[AF_UNSPEC]` without an address. OpenVPN: print_sockaddr_ex().
 */
export function formatLinkAddress(address: LinkAddress): string {
  const endpoint = endpointOf(address);
  return endpoint === undefined ? '[AF_UNSPEC]' : formatEndpoint(endpoint);
}

/** {@link formatLinkAddress} for an endpoint. */
export function formatEndpoint(endpoint: Endpoint): string {
  const scope = endpoint.scope ? `%${endpoint.scope}` : '';
  const wildcard = endpoint.address === (endpoint.family === 4 ? '0.0.0.0' : '::');
  const host = wildcard ? '[undef]' : endpoint.address + scope;
  return `[${endpoint.family === 4 ? 'AF_INET' : 'AF_INET6'}]${host}:${endpoint.port}`;
}

/**
 * Reads what {@link formatLinkAddress} writes; the bracketed family may be missing. Freshly allocated, on link `link`.
 * Undefined when it is anything else.
 */
export function parseLinkAddress(text: string, link = 0): LinkAddress | undefined {
  const match = /^(?:\[(AF_INET6?)\])?(.+):([0-9]{1,5})$/.exec(text);
  if (match === null) return undefined;
  const wildcard = match[1] === 'AF_INET6' ? '::' : '0.0.0.0';
  const host = match[2] === '[undef]' && match[1] !== undefined ? wildcard : match[2];
  const endpoint = parseEndpoint(host, Number(match[3]));
  if (endpoint === undefined) return undefined;
  if (match[1] !== undefined && match[1] !== (endpoint.family === 4 ? 'AF_INET' : 'AF_INET6')) return undefined;
  return linkAddress(endpoint, link);
}

/** Whether two addresses are the same, link and all. */
export function sameLinkAddress(a: LinkAddress, b: LinkAddress): boolean {
  return sameWords(a, 0, b, 0);
}

function formatIpv4(host: number): string {
  return `${host >>> 24}.${(host >>> 16) & 0xff}.${(host >>> 8) & 0xff}.${host & 0xff}`;
}

function formatIpv6(parts: readonly number[]): string {
  const mapped = parts[5] === 0xffff && parts.slice(0, 5).every((part) => part === 0);
  // As inet_ntop() writes it, and OpenVPN's log with it.
  if (mapped) return `::ffff:${formatIpv4(((parts[6] << 16) | parts[7]) >>> 0)}`;
  return new ipaddr.IPv6([...parts]).toRFC5952String();
}
