import { parseIpv6 } from './ipv6.js';

/** Most parts of the short forms that the system takes for an IPv4 address: `127.1`. */
const MAX_PARTS = 4;

/**
 * Whether this looks like an address and is none, `300.1.1.1`, `10.0.0.1.1` or `fe80::g`: no name of a host has only numbers or a colon (RFC 1123, section 2.1), so that
 * a resolver need not be asked. What inet_aton(3) takes, and an IPv6 zone, are let through.
 */
export function isMistypedAddress(host: string): boolean {
  if (host.includes(':')) return parseIpv6(host.replace(/%[^%]+$/, '')) === undefined;
  if (!/^[0-9.]+$/.test(host)) return false;
  const parts = host.split('.');
  const last = parts.pop() ?? '';
  if (parts.length >= MAX_PARTS || last === '' || Number(last) >= 256 ** (MAX_PARTS - parts.length)) return true;
  return parts.some((part) => part === '' || Number(part) > 255);
}
