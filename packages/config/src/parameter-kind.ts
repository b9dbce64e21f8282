import { MAX_INTEGER, parseInteger } from './integer.js';
import { netmaskBits, parseIpv4 } from './ipv4.js';
import { parseIpv6, parseIpv6Prefix } from './ipv6.js';
import { parsePort } from './port.js';
import { PROTOCOL_NAMES } from './protocol.js';

/** What a parameter may hold. `keywords` are words that may stand in place of an address. */
export type ParameterKind =
  | { readonly kind: 'text' }
  | { readonly kind: 'path' }
  | { readonly kind: 'host' }
  | { readonly kind: 'command' }
  | { readonly kind: 'integer'; readonly min: number; readonly max: number; readonly clamp: boolean }
  | { readonly kind: 'integer-or'; readonly min: number; readonly max: number; readonly word: string }
  | { readonly kind: 'port' }
  | { readonly kind: 'protocol' }
  | { readonly kind: 'choice'; readonly values: readonly string[]; readonly complaint: string | undefined }
  | { readonly kind: 'ipv4'; readonly keywords: readonly string[] }
  | { readonly kind: 'netmask'; readonly keywords: readonly string[] }
  | { readonly kind: 'ipv6'; readonly keywords: readonly string[] }
  | { readonly kind: 'ipv6-prefix'; readonly minBits: number; readonly maxBits: number };

/** Any text. */
export const TEXT: ParameterKind = { kind: 'text' };
/** A path of the file system, relative to `cd`. */
export const PATH: ParameterKind = { kind: 'path' };
/** A host name or an address of either family. */
export const HOST: ParameterKind = { kind: 'host' };
/** A command line of a script. */
export const COMMAND: ParameterKind = { kind: 'command' };
/** A port number or the name of a well-known service. */
export const PORT: ParameterKind = { kind: 'port' };
/** A transport protocol, `udp`, `tcp4-client` … */
export const PROTOCOL: ParameterKind = { kind: 'protocol' };
/** An IPv4 address. */
export const IPV4: ParameterKind = { kind: 'ipv4', keywords: [] };
/** A contiguous IPv4 netmask. */
export const NETMASK: ParameterKind = { kind: 'netmask', keywords: [] };
/** An IPv6 address. */
export const IPV6: ParameterKind = { kind: 'ipv6', keywords: [] };

/** A whole number within a range, both ends included. */
export function integer(min: number, max: number = MAX_INTEGER): ParameterKind {
  return { kind: 'integer', min, max, clamp: false };
}

/** A whole number that is brought into the range with a warning, where OpenVPN does so too. */
export function clamped(min: number, max: number): ParameterKind {
  return { kind: 'integer', min, max, clamp: true };
}

/** Milliseconds between two begins of a race, or `off`. */
export const RACE: ParameterKind = { kind: 'integer-or', min: 1, max: 60_000, word: 'off' };

/** One of some words. `complaint` is OpenVPN's sentence about another word, with `%s` for that word. */
export function choice(values: readonly string[], complaint?: string): ParameterKind {
  return { kind: 'choice', values, complaint };
}

/** An IPv4 address or one of some words. */
export function ipv4Or(...keywords: string[]): ParameterKind {
  return { kind: 'ipv4', keywords };
}

/** An IPv4 netmask or one of some words. */
export function netmaskOr(...keywords: string[]): ParameterKind {
  return { kind: 'netmask', keywords };
}

/** An IPv6 address or one of some words. */
export function ipv6Or(...keywords: string[]): ParameterKind {
  return { kind: 'ipv6', keywords };
}

/** An IPv6 address with a prefix length in a range; without a length it is 64. */
export function ipv6Prefix(minBits: number, maxBits: number): ParameterKind {
  return { kind: 'ipv6-prefix', minBits, maxBits };
}

/** What a kind allows, in words for a person: `a number between 1 and 9`. */
export function describeKind(kind: ParameterKind): string {
  switch (kind.kind) {
    case 'text':
      return 'any text';
    case 'path':
      return 'a path';
    case 'host':
      return 'a host name or address';
    case 'command':
      return 'a command';
    case 'integer':
      return kind.max >= MAX_INTEGER ? `a number >= ${kind.min}` : `a number between ${kind.min} and ${kind.max}`;
    case 'integer-or':
      return `a number between ${kind.min} and ${kind.max}, or ${kind.word}`;
    case 'port':
      return 'a port number between 0 and 65535';
    case 'protocol':
      return PROTOCOL_NAMES.join(', ');
    case 'choice':
      return kind.values.join(', ');
    case 'ipv4':
      return ['an IPv4 address', ...kind.keywords].join(' or ');
    case 'netmask':
      return ['an IPv4 netmask', ...kind.keywords].join(' or ');
    case 'ipv6':
      return ['an IPv6 address', ...kind.keywords].join(' or ');
    case 'ipv6-prefix':
      return `an IPv6 address with a prefix length between /${kind.minBits} and /${kind.maxBits}`;
  }
}

/** OpenVPN's sentence about a parameter that its kind does not allow, or undefined when it is fine. Never throws. */
export function complainAbout(option: string, kind: ParameterKind, text: string): string | undefined {
  switch (kind.kind) {
    case 'text':
    case 'command':
      return undefined;
    case 'path':
    case 'host':
      return text === '' ? `${option}: empty parameter` : undefined;
    case 'integer': {
      const result = kind.clamp
        ? parseInteger(text, option, -MAX_INTEGER, MAX_INTEGER)
        : parseInteger(text, option, kind.min, kind.max);
      return result.ok ? undefined : result.reason;
    }
    case 'integer-or': {
      const result = parseInteger(text, option, kind.min, kind.max);
      return result.ok || text === kind.word ? undefined : result.reason;
    }
    case 'port':
      return parsePort(text) === undefined ? `${option}: bad port '${text}'` : undefined;
    case 'protocol':
      return PROTOCOL_NAMES.includes(text) ? undefined : `Bad protocol: '${text}'`;
    case 'choice':
      if (kind.values.includes(text)) return undefined;
      return (kind.complaint ?? `${option}: unknown parameter '%s'`).replace('%s', () => text);
    case 'ipv4':
      return kind.keywords.includes(text) || parseIpv4(text) !== undefined
        ? undefined
        : `${option}: '${text}' is not a valid IPv4 address`;
    case 'netmask': {
      const mask = parseIpv4(text);
      return kind.keywords.includes(text) || (mask !== undefined && netmaskBits(mask) !== undefined)
        ? undefined
        : `${option}: '${text}' is not a valid netmask`;
    }
    case 'ipv6':
      return kind.keywords.includes(text) || parseIpv6(text) !== undefined
        ? undefined
        : `${option}: '${text}' is not a valid IPv6 address`;
    case 'ipv6-prefix': {
      const prefix = parseIpv6Prefix(text);
      if (prefix === undefined) return `error parsing --${option} parameter: '${text}'`;
      return prefix.bits < kind.minBits || prefix.bits > kind.maxBits
        ? `--${option} settings: network must be between /${kind.minBits} and /${kind.maxBits} (not /${prefix.bits})`
        : undefined;
    }
  }
}
