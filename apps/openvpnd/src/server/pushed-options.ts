import { type ClientConfig, editPushList } from '@openvpnd/config';

/** The addresses that one client has inside the tunnel, as text. */
export interface VirtualAddresses {
  readonly ipv4?: { readonly local: string; readonly remoteOrNetmask: string };
  readonly ipv6?: { readonly local: string; readonly bits: number; readonly remote: string };
}

/**
 * What a server pushes to one client before the negotiated options: its own list, as the client's configuration
 * changes it, then the addresses. OpenVPN: prepare_push_reply().
 */
export function pushedOptions(
  common: readonly string[],
  config: ClientConfig | undefined,
  addresses: VirtualAddresses,
): readonly string[] {
  const options = [...editPushList(common, config?.pushEdits ?? [])];
  const { ipv4, ipv6 } = addresses;
  if (ipv6 !== undefined) options.push(`ifconfig-ipv6 ${ipv6.local}/${ipv6.bits} ${ipv6.remote}`);
  if (ipv4 !== undefined) options.push(`ifconfig ${ipv4.local} ${ipv4.remoteOrNetmask}`);
  return options;
}
