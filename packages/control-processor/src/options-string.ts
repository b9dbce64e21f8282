import { findDataCipher, occLinkMtu } from '@openvpnd/keygen';
import { withoutControlCharacters } from '@openvpnd/wire';

/** What an options string tells. It describes our end; {@link expectedOptionsString} derives the peer's. */
export interface OptionsStringInput {
  /** `secret`: static key mode. */
  readonly role: 'client' | 'server' | 'secret';
  /** Without pull and push: `ifconfig`, `tun-ipv6` and any `cipher` are told. */
  readonly pointToPoint: boolean;
  readonly deviceType: 'tun' | 'tap' | 'null';
  readonly tunMtu: number;
  readonly protocol: 'udp' | 'tcp-client' | 'tcp-server';
  /** --cipher; BF-CBC when it is not set, which OpenVPN pretends to use here though nobody does. */
  readonly cipher?: string;
  readonly dataCiphers: readonly string[];
  /** --auth, in OpenSSL's upper-case name; `none`. */
  readonly auth: string;
  /** Its length in bytes; 0 for `none`. */
  readonly digestBytes: number;
  /** `prefix`: comp-lzo, compress, compress lzo, lz4, stub; `v2`: stub-v2, lz4-v2. */
  readonly compression?: 'prefix' | 'v2';
  readonly fragment?: boolean;
  /** --key-direction of tls-auth or secret. */
  readonly keyDirection?: 0 | 1;
  readonly tlsAuth?: boolean;
  /** IPv6 addresses are configured on the device (told in point-to-point only). */
  readonly tunIpv6?: boolean;
  readonly ifconfig?:
    | { readonly kind: 'point-to-point'; readonly local: string; readonly remote: string }
    | { readonly kind: 'subnet'; readonly network: string; readonly netmask: string };
}

/**
 * Our options string: what a peer compares with what it expects. `V4,dev-type tun,link-mtu 1541,…,tls-client`.
 * OpenVPN: options_string().
 */
export function optionsString(input: OptionsStringInput): string {
  return build(input, false);
}

/** The string that the peer should send: ours with client and server, key directions and addresses exchanged. */
export function expectedOptionsString(input: OptionsStringInput): string {
  return build(input, true);
}

/** A tap device has had this much added to its MTU since OpenVPN 2.0. OpenVPN: TAP_MTU_EXTRA_DEFAULT. */
const TAP_MTU_EXTRA = 32;

function build(input: OptionsStringInput, remote: boolean): string {
  const { role } = input;
  const secret = role === 'secret';
  const cipherName = input.cipher ?? 'BF-CBC';
  // Blowfish stands for "not set": it keeps its place in the string, and its sizes count, though it cannot be used.
  const cipher =
    cipherName === 'BF-CBC'
      ? ({ name: 'BF-CBC', keyBytes: 16, kind: 'cbc', blockBytes: 8 } as const)
      : findDataCipher(cipherName);
  if (!cipher) throw new RangeError(`no such cipher: ${cipherName}`);
  const aead = cipher.kind === 'aead';
  const linkMtu = occLinkMtu(input.tunMtu + (input.deviceType === 'tap' ? TAP_MTU_EXTRA : 0), {
    cipher,
    digestBytes: input.digestBytes,
    mode: secret ? 'secret' : 'tls',
    stream: input.protocol !== 'udp',
    compressionPrefix: input.compression === 'prefix',
    fragment: input.fragment ?? false,
  });

  const fields = ['V4', `dev-type ${input.deviceType}`, `link-mtu ${linkMtu}`, `tun-mtu ${input.tunMtu}`];
  fields.push(`proto ${protocolName(input.protocol, remote)}`);
  if (input.pointToPoint) {
    if (input.tunIpv6) fields.push('tun-ipv6');
    if (input.ifconfig) fields.push(ifconfigField(input.ifconfig, remote));
  }
  if (input.compression) fields.push('comp-lzo');
  if (input.fragment) fields.push('mtu-dynamic');
  if (input.keyDirection !== undefined) fields.push(`keydir ${remote ? 1 - input.keyDirection : input.keyDirection}`);
  if (input.pointToPoint || secret || input.dataCiphers.some((own) => own === cipher.name && own !== 'none')) {
    fields.push(`cipher ${cipher.name === 'none' ? '[null-cipher]' : cipher.name}`);
  }
  fields.push(`auth ${aead || input.digestBytes === 0 ? '[null-digest]' : input.auth}`);
  fields.push(`keysize ${cipher.keyBytes * 8}`);
  if (secret) fields.push('secret');
  if (input.tlsAuth) fields.push('tls-auth');
  if (!secret) fields.push('key-method 2', `tls-${(role === 'server') === remote ? 'client' : 'server'}`);
  return fields.join(',');
}

function protocolName(protocol: OptionsStringInput['protocol'], remote: boolean): string {
  switch (protocol) {
    case 'udp':
      return 'UDPv4';
    case 'tcp-client':
      return remote ? 'TCPv4_SERVER' : 'TCPv4_CLIENT';
    case 'tcp-server':
      return remote ? 'TCPv4_CLIENT' : 'TCPv4_SERVER';
  }
}

/** Each end names the addresses as its peer should have configured them. */
function ifconfigField(ifconfig: NonNullable<OptionsStringInput['ifconfig']>, remote: boolean): string {
  if (ifconfig.kind === 'subnet') return `ifconfig ${ifconfig.network} ${ifconfig.netmask}`;
  return remote ? `ifconfig ${ifconfig.local} ${ifconfig.remote}` : `ifconfig ${ifconfig.remote} ${ifconfig.local}`;
}

/** The cipher that an options string names, `none` for `[null-cipher]`; undefined when it names none. OpenVPN: options_string_extract_option(). */
export function cipherOfOptionsString(text: string): string | undefined {
  const name = /(?:^|,)cipher ([^,]+)/.exec(text)?.[1];
  return name === '[null-cipher]' ? 'none' : name;
}

/** A difference between what we expect and what the peer has. Every text is fit for a log. */
export interface OptionsDifference {
  readonly kind: 'inconsistent' | 'missing-in-remote' | 'missing-in-local';
  /** `link-mtu` */
  readonly name: string;
  readonly local?: string;
  readonly remote?: string;
}

/** Nobody needs to hear of these: they do not matter, or are negotiated. OpenVPN: options_warning_safe_scan2(). */
const SILENT = new Set(['key-method', 'keydir', 'proto', 'tls-auth', 'tun-ipv6', 'cipher']);
/** A peer chooses its string: no more lines than an honest one could cause. */
const MAX_DIFFERENCES = 20;

/** What differs between the string that we expect of the peer and the one that it sent. OpenVPN: options_warning(). */
export function compareOptionsStrings(expected: string, received: string): readonly OptionsDifference[] {
  if (expected === received) return [];
  const local = fieldsOf(expected);
  const remote = fieldsOf(received);
  const differences: OptionsDifference[] = [];
  for (const [name, field] of local) {
    if (SILENT.has(name)) continue;
    const theirs = remote.get(name);
    if (theirs === undefined) differences.push({ kind: 'missing-in-remote', name, local: field });
    else if (theirs !== field) differences.push({ kind: 'inconsistent', name, local: field, remote: theirs });
  }
  for (const [name, field] of remote) {
    if (!SILENT.has(name) && !local.has(name)) differences.push({ kind: 'missing-in-local', name, remote: field });
  }
  return differences.slice(0, MAX_DIFFERENCES);
}

function fieldsOf(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of withoutControlCharacters(text).split(',')) {
    const name = field.split(' ', 1)[0] ?? '';
    if (name !== '' && !fields.has(name)) fields.set(name, field);
  }
  return fields;
}

/** Whether an options string tells of a compression framing, the simplest excepted. OpenVPN: remote_usescomp. */
export function namesCompression(text: string): boolean {
  return text.includes(',comp-lzo,');
}

/**
 * A server's string as a client with `comp-lzo` expects it: the link MTU one larger, and `comp-lzo` at the end
 * (`compress migrate`). Unchanged when there is no plausible link MTU. OpenVPN: options_string_compat_lzo().
 */
export function withCompLzo(text: string): string {
  const match = /,link-mtu (\d{1,5})(?=,)/.exec(text);
  const linkMtu = Number(match?.[1]);
  if (!match || linkMtu < 100 || linkMtu > 9900 || text.includes(',comp-lzo')) return text;
  return `${text.replace(match[0], `,link-mtu ${linkMtu + 1}`)},comp-lzo`;
}
