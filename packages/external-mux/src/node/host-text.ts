import { networkInterfaces } from 'node:os';
import {
  ADDRESS_FAMILY,
  ADDRESS_HOST,
  ADDRESS_PORT,
  ADDRESS_SCOPE,
  ADDRESS_WORDS,
  type LinkAddress,
} from '@openvpnd/memory';
import { endpointOf, linkAddress, parseEndpoint } from '../endpoint.js';

/** Texts and words that are remembered: peers choose addresses, so the memory is emptied when it is full. */
const REMEMBERED_HOSTS = 4096;
const MAPPED = '::ffff:';

/**
 * Turns addresses as node:dgram writes them into words and back, remembering recent ones. IPv4-mapped IPv6 addresses of a dual-stack socket become
 * plain IPv4 and return as mapped ones, so that a peer has one address whatever socket it talks to.
 */
export class HostText {
  readonly #isIpv6Socket: boolean;
  readonly #words: Map<string, LinkAddress> = new Map();
  readonly #texts: Map<number, { readonly words: LinkAddress; readonly text: string }> = new Map();

  constructor(options: { readonly isIpv6Socket: boolean }) {
    this.#isIpv6Socket = options.isIpv6Socket;
  }

  /** Words for a source; port and link are left 0. Undefined when it is no address. Borrowed. */
  wordsOf(address: string): LinkAddress | undefined {
    const known = this.#words.get(address);
    if (known !== undefined) return known;
    const words = parseHost(address);
    if (words === undefined) return undefined;
    if (this.#words.size >= REMEMBERED_HOSTS) this.#words.clear();
    this.#words.set(address, words);
    return words;
  }

  /** The host to send to, as the socket wants it; undefined when the socket cannot reach that family. */
  textOf(address: LinkAddress): string | undefined {
    const family = address[ADDRESS_FAMILY];
    if (family === 6 ? !this.#isIpv6Socket : family !== 4) return undefined;
    // Any cheap hash does: a collision only costs the conversion.
    const key = address[2] ^ Math.imul(address[3] ^ Math.imul(address[4], 31), 31) ^ Math.imul(address[5], 0x9e3779b1);
    const known = this.#texts.get(key);
    if (known !== undefined && sameHost(known.words, address)) return known.text;
    const text = formatHost(address, this.#isIpv6Socket);
    if (text === undefined) return undefined;
    if (this.#texts.size >= REMEMBERED_HOSTS) this.#texts.clear();
    this.#texts.set(key, { words: address.slice(0, ADDRESS_WORDS), text });
    return text;
  }
}

/** Words of an address as node writes it, with port and link 0. */
export function parseHost(address: string): LinkAddress | undefined {
  if (address.startsWith(MAPPED) && address.includes('.')) return parseHost(address.slice(MAPPED.length));
  const [host, zone] = address.split('%');
  const endpoint = parseEndpoint(host, 0);
  if (endpoint === undefined) return undefined;
  return linkAddress(zone === undefined ? endpoint : { ...endpoint, scope: scopeOfInterface(zone) });
}

function formatHost(address: LinkAddress, forIpv6Socket: boolean): string | undefined {
  const endpoint = endpointOf(address);
  if (endpoint === undefined) return undefined;
  if (endpoint.family === 4) return forIpv6Socket ? MAPPED + endpoint.address : endpoint.address;
  if (!endpoint.scope) return endpoint.address;
  const name = interfaceOfScope(endpoint.scope);
  return name === undefined ? undefined : `${endpoint.address}%${name}`;
}

function sameHost(a: LinkAddress, b: LinkAddress): boolean {
  if (a[ADDRESS_FAMILY] !== b[ADDRESS_FAMILY] || a[ADDRESS_SCOPE] !== b[ADDRESS_SCOPE]) return false;
  for (let word = ADDRESS_HOST; word < ADDRESS_SCOPE; word += 1) if (a[word] !== b[word]) return false;
  return true;
}

function scopeOfInterface(name: string): number {
  for (const address of networkInterfaces()[name] ?? []) {
    if (address.family === 'IPv6' && address.scopeid !== 0) return address.scopeid;
  }
  return 0;
}

function interfaceOfScope(scope: number): string | undefined {
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    if (addresses?.some((address) => address.family === 'IPv6' && address.scopeid === scope)) return name;
  }
  return undefined;
}

/** Puts a port into words. */
export function withPort(words: LinkAddress, port: number): LinkAddress {
  const copy = words.slice();
  copy[ADDRESS_PORT] = port;
  return copy;
}
