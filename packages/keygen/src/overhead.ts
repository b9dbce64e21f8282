import type { DataCipher } from './data-cipher.js';

/** What of a data channel's settings adds bytes to an inner packet on its way to the wire. */
export interface DataPacketShape {
  readonly cipher: Pick<DataCipher, 'kind' | 'blockBytes'>;
  /** Length of the HMAC: 20 for SHA1; 0 for `auth none`. Without effect on an AEAD cipher. */
  readonly digestBytes: number;
  /** `tls`: an opcode and short packet ids. `secret`: `--secret`, long ids. `plain`: neither keys nor TLS. */
  readonly mode: 'tls' | 'secret' | 'plain';
  /** P_DATA_V2: the opcode is followed by a peer id. */
  readonly peerId?: boolean;
  /** Epoch data keys: the packet id has 8 bytes. */
  readonly epoch?: boolean;
  /** Over TCP: each packet has a length in front. */
  readonly stream?: boolean;
  /** Through a SOCKS proxy, over UDP. */
  readonly socks?: boolean;
  /** A compression framing with a prefix byte: `comp-lzo`, `compress stub`, `lzo`, `lz4`; not the v2 framings. */
  readonly compressionPrefix?: boolean;
  /** `--fragment` is on. */
  readonly fragment?: boolean;
  /** A tap device: OpenVPN reserves 32 bytes beside the tun MTU for the Ethernet header and what may follow it. */
  readonly tap?: boolean;
}

/** `--mssfix n`, `--mssfix n mtu` and `--mssfix n fixed`. */
export interface MssfixSetting {
  readonly bytes: number;
  /**
   * What `bytes` limits. `encapsulated`: the packet that is given to the UDP or TCP socket. `mtu`: that packet with its IP
   * and UDP or TCP header. `fixed`: the inner IPv4 packet.
   */
  readonly limits: 'encapsulated' | 'mtu' | 'fixed';
  /** The outer packets are IPv6; counts for `mtu` alone. */
  readonly outerIpv6?: boolean;
}

const SOCKS_UDP_BYTES = 10;
const STREAM_LENGTH_BYTES = 2;
const AEAD_TAG_BYTES = 16;
const AEAD_IV_BYTES = 12;
const FRAGMENT_BYTES = 4;
const TAP_EXTRA_BYTES = 32;
const IPV4_BYTES = 20;
const IPV6_BYTES = 40;
const TCP_BYTES = 20;
const UDP_BYTES = 8;

/**
 * The `link-mtu` of the options string (OCC): what both ends compare, not what is sent. It counts as the first OpenVPN did:
 * no peer id, a short packet id even where AEAD uses an implicit IV, and a whole block of padding.
 * OpenVPN: calc_options_string_link_mtu().
 */
export function occLinkMtu(tunMtu: number, shape: DataPacketShape): number {
  const { cipher } = shape;
  let bytes = tunMtu + carrierBytes(shape) + payloadBytes(shape);
  if (shape.mode === 'plain') return bytes;
  if (shape.mode === 'tls') bytes += 1;
  bytes += shape.mode === 'secret' ? 8 : 4;
  if (cipher.kind === 'aead') return bytes + AEAD_IV_BYTES + cipher.blockBytes + AEAD_TAG_BYTES;
  if (cipher.kind === 'cbc') bytes += 2 * cipher.blockBytes;
  return bytes + shape.digestBytes;
}

/**
 * The largest MSS of an inner TCP connection over IPv4 (20 less over IPv6) that keeps tunnel packets within `--mssfix`; 0, for
 * no clamping, where nothing would be left. OpenVPN: frame_calculate_mssfix().
 */
export function mssOf(setting: MssfixSetting, shape: DataPacketShape): number {
  const innerHeaders = IPV4_BYTES + TCP_BYTES;
  if (setting.limits === 'fixed') return Math.max(0, setting.bytes - innerHeaders);
  const { bytes, limits, outerIpv6 } = setting;
  return Math.max(0, sealedPayloadOf({ bytes, limits, outerIpv6 }, shape) - payloadBytes(shape) - innerHeaders);
}

/** `--fragment n` and `--fragment n mtu`. */
export interface FragmentSetting {
  readonly bytes: number;
  /** As for mssfix. */
  readonly limits: 'encapsulated' | 'mtu';
  readonly outerIpv6?: boolean;
}

/** The longest part of a payload, without its fragment header, whose packet keeps within `--fragment`. OpenVPN: fragment_frame_init(). */
export function fragmentPartOf(setting: FragmentSetting, shape: DataPacketShape): number {
  return Math.max(0, sealedPayloadOf(setting, shape) - FRAGMENT_BYTES);
}

/**
 * The longest inner packet, before framing, that makes a packet for the UDP or TCP socket of at most `bytes`; below 0 where nothing fits.
 * OpenVPN: the size of OCC_MTU_LOAD.
 */
export function payloadWithin(bytes: number, shape: DataPacketShape): number {
  return sealedPayloadOf({ bytes, limits: 'encapsulated' }, shape) - payloadBytes(shape);
}

/** What an inner packet of `innerBytes` becomes for the UDP or TCP socket. OpenVPN: frame_calculate_payload_size() and its like. */
export function sealedBytesOf(innerBytes: number, shape: DataPacketShape): number {
  const { cipher } = shape;
  const header = carrierBytes(shape) + (shape.mode === 'tls' ? (shape.peerId ? 4 : 1) : 0);
  const plain = innerBytes + payloadBytes(shape) + packetIdBytesOf(shape);
  if (cipher.kind === 'aead') return header + plain + AEAD_TAG_BYTES;
  if (cipher.kind === 'none') return header + plain + shape.digestBytes;
  const padded = (Math.floor(plain / cipher.blockBytes) + 1) * cipher.blockBytes;
  return header + shape.digestBytes + cipher.blockBytes + padded;
}

/** The longest payload, framing included, that makes a packet of the size that a setting limits. */
function sealedPayloadOf(setting: FragmentSetting, shape: DataPacketShape): number {
  const { cipher } = shape;
  let target = setting.bytes - carrierBytes(shape);
  if (setting.limits === 'mtu') {
    target -= (setting.outerIpv6 ? IPV6_BYTES : IPV4_BYTES) + (shape.stream ? TCP_BYTES : UDP_BYTES);
  }
  if (shape.mode === 'tls') target -= shape.peerId ? 4 : 1;
  const packetIdBytes = packetIdBytesOf(shape);
  if (cipher.kind !== 'cbc')
    return target - packetIdBytes - (cipher.kind === 'aead' ? AEAD_TAG_BYTES : shape.digestBytes);
  target -= cipher.blockBytes + shape.digestBytes;
  // Padding takes one byte at least, the ciphertext is a multiple of the block, and the packet id is encrypted with the payload.
  return Math.floor(target / cipher.blockBytes) * cipher.blockBytes - 1 - packetIdBytes;
}

function packetIdBytesOf(shape: DataPacketShape): number {
  if (shape.mode === 'plain') return 0;
  return shape.mode === 'secret' || shape.epoch ? 8 : 4;
}

function carrierBytes(shape: DataPacketShape): number {
  return (shape.stream ? STREAM_LENGTH_BYTES : 0) + (shape.socks && !shape.stream ? SOCKS_UDP_BYTES : 0);
}

function payloadBytes(shape: DataPacketShape): number {
  return (shape.tap ? TAP_EXTRA_BYTES : 0) + (shape.compressionPrefix ? 1 : 0) + (shape.fragment ? FRAGMENT_BYTES : 0);
}
