/** Bits of IV_PROTO: what a peer can do. OpenVPN: ssl.h, IV_PROTO_*. */
export const IV_PROTO_DATA_V2: number = 1 << 1;
/** The client takes a PUSH_REPLY that it has not asked for. */
export const IV_PROTO_REQUEST_PUSH: number = 1 << 2;
/** Data keys by the TLS exporter. */
export const IV_PROTO_TLS_KEY_EXPORT: number = 1 << 3;
/** Understands the keywords of AUTH_PENDING. */
export const IV_PROTO_AUTH_PENDING_KW: number = 1 << 4;
/** Cipher negotiation in point-to-point mode. */
export const IV_PROTO_NCP_P2P: number = 1 << 5;
/** The `dns` option in the syntax of 2.6. */
export const IV_PROTO_DNS_OPTION: number = 1 << 6;
/** EXIT on the control channel, and the `protocol-flags` option. */
export const IV_PROTO_CC_EXIT_NOTIFY: number = 1 << 7;
/** Understands AUTH_FAILED,TEMP. */
export const IV_PROTO_AUTH_FAIL_TEMP: number = 1 << 8;
/** Dynamic tls-crypt for renegotiations. */
export const IV_PROTO_DYN_TLS_CRYPT: number = 1 << 9;
/** Epoch data keys. */
export const IV_PROTO_DATA_EPOCH: number = 1 << 10;
/** The `dns` option in the syntax of 2.7. */
export const IV_PROTO_DNS_OPTION_V2: number = 1 << 11;
/** Understands PUSH_UPDATE. */
export const IV_PROTO_PUSH_UPDATE: number = 1 << 12;

/** Largest peer id that names a peer; the next one, 0xffffff, means none. */
export const MAX_PEER_ID = 0xff_fffe;

/** What a peer tells of itself: `IV_*`, `UV_*` and `ID`, in the order of their first appearance. */
export type PeerInfo = ReadonlyMap<string, string>;

/**
 * Parses peer info: lines `KEY=VALUE`. A line that is no such pair, whose key has other characters than A–Z a–z 0–9 _,
 * or whose value has control characters is skipped. Of two lines with the same key the first one counts.
 * OpenVPN: validate_peer_info_line(), extract_var_peer_info().
 */
export function parsePeerInfo(text: string): PeerInfo {
  const info = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = LINE.exec(line);
    if (match && !info.has(match[1]!)) info.set(match[1]!, match[2]!);
  }
  return info;
}

/**
 * Writes peer info: `KEY=VALUE\n` for each entry, in their order.
 *
 * @throws RangeError when an entry would be skipped by {@link parsePeerInfo}
 */
export function emitPeerInfo(entries: Iterable<readonly [string, string]>): string {
  let text = '';
  for (const [key, value] of entries) {
    const line = `${key}=${value}`;
    if (LINE.exec(line)?.[1] !== key) throw new RangeError(`not a line of peer info: key ${JSON.stringify(key)}`);
    text += `${line}\n`;
  }
  return text;
}

/** The number at the start of a value, or 0 when there is none, saturated to 2^31 − 1. OpenVPN: extract_iv_proto(). */
export function peerInfoInteger(info: PeerInfo, key: string): number {
  const digits = /^\s*\+?(\d+)/.exec(info.get(key) ?? '')?.[1];
  return digits === undefined ? 0 : Math.min(Number(digits), 0x7fff_ffff);
}

/**
 * The id under which the sender of the peer info wants to receive (`ID=`, lower-case hex, 0 … {@link MAX_PEER_ID}), or
 * undefined. OpenVPN: extract_asymmetric_peer_id(), 2.8.
 */
export function peerInfoPeerId(info: PeerInfo): number | undefined {
  const text = info.get('ID');
  if (text === undefined || !/^[0-9a-fA-F]{1,6}$/.test(text)) return undefined;
  const id = Number.parseInt(text, 16);
  return id <= MAX_PEER_ID ? id : undefined;
}

const LINE = /^([A-Za-z0-9_]+)=([^\u0000-\u001f\u007f]*)$/;
