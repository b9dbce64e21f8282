import {
  emitPeerInfo,
  IV_PROTO_AUTH_FAIL_TEMP,
  IV_PROTO_AUTH_PENDING_KW,
  IV_PROTO_CC_EXIT_NOTIFY,
  IV_PROTO_DATA_EPOCH,
  IV_PROTO_DATA_V2,
  IV_PROTO_DYN_TLS_CRYPT,
  IV_PROTO_NCP_P2P,
  IV_PROTO_PUSH_UPDATE,
  IV_PROTO_REQUEST_PUSH,
  IV_PROTO_TLS_KEY_EXPORT,
} from '@openvpnd/wire';

/**
 * The IV_PROTO bits that this implementation has in a role. The owner adds those that are its own (the `dns` option). A server
 * does not send its bits, it uses them to decide what it pushes.
 */
export function ownIvProto(mode: 'p2mp' | 'p2p', options: { readonly exporter: boolean }): number {
  const ekm = options.exporter ? IV_PROTO_TLS_KEY_EXPORT | IV_PROTO_DYN_TLS_CRYPT : 0;
  const both = IV_PROTO_DATA_V2 | IV_PROTO_CC_EXIT_NOTIFY | IV_PROTO_DATA_EPOCH | ekm;
  if (mode === 'p2p') return both | IV_PROTO_NCP_P2P;
  return both | IV_PROTO_REQUEST_PUSH | IV_PROTO_AUTH_PENDING_KW | IV_PROTO_AUTH_FAIL_TEMP | IV_PROTO_PUSH_UPDATE;
}

/** What {@link ownPeerInfo} may tell. */
export interface OwnPeerInfo {
  /** 3: --push-peer-info; 2: a client that pulls; 1: a point-to-point peer; 0: nothing (a server). */
  readonly level: 0 | 1 | 2 | 3;
  /** IV_VER */
  readonly version: string;
  /** IV_PLAT: `linux` */
  readonly platform: string;
  /** IV_MTU: the largest tun-mtu that may be pushed to us (--tun-mtu-max). */
  readonly tunMtuMax: number;
  readonly dataCiphers: readonly string[];
  readonly ivProto: number;
  /** `stub`: the framings are understood, compressed payloads are not. `all`: LZO and LZ4 are read. `none`: nothing is said. */
  readonly compression: 'stub' | 'all' | 'none';
  /** Level 3: IV_HWADDR, IV_SSL, IV_PLAT_VER, in that order and only those given. */
  readonly hardwareAddress?: string;
  readonly tlsLibrary?: string;
  readonly platformVersion?: string;
  /** IV_GUI_VER and IV_SSO; at level 3 also UV_*. Others are not sent. */
  readonly environment?: ReadonlyMap<string, string>;
}

/** Our peer info, in OpenVPN's order; undefined at level 0. OpenVPN: push_peer_info(). */
export function ownPeerInfo(input: OwnPeerInfo): string | undefined {
  const { level, dataCiphers } = input;
  if (level === 0) return undefined;
  const lines: [string, string][] = [];
  if (level >= 2) {
    lines.push(
      ['IV_VER', input.version],
      ['IV_PLAT', input.platform],
      ['IV_TCPNL', '1'],
      ['IV_MTU', `${input.tunMtuMax}`],
    );
    // Announcing these two is what servers before 2.5 understand.
    if (dataCiphers.includes('AES-128-GCM') && dataCiphers.includes('AES-256-GCM')) lines.push(['IV_NCP', '2']);
  }
  lines.push(['IV_CIPHERS', dataCiphers.join(':')], ['IV_PROTO', `${input.ivProto}`]);
  if (level >= 2 && input.compression !== 'none') {
    if (input.compression === 'all') lines.push(['IV_LZ4', '1'], ['IV_LZ4v2', '1'], ['IV_LZO', '1']);
    else lines.push(['IV_LZO_STUB', '1']);
    lines.push(['IV_COMP_STUB', '1'], ['IV_COMP_STUBv2', '1']);
  }
  if (level >= 3) {
    if (input.hardwareAddress) lines.push(['IV_HWADDR', input.hardwareAddress]);
    if (input.tlsLibrary) lines.push(['IV_SSL', input.tlsLibrary]);
    if (input.platformVersion) lines.push(['IV_PLAT_VER', input.platformVersion]);
  }
  for (const [key, value] of input.environment ?? []) {
    if (key === 'IV_GUI_VER' || key === 'IV_SSO' || (level >= 3 && /^UV_[A-Za-z0-9_]+$/.test(key)))
      lines.push([key, value]);
  }
  return emitPeerInfo(lines);
}
