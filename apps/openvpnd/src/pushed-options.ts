import type { ClientConfig } from './client-config.js';

/** The addresses that one client has inside the tunnel. */
export interface VirtualAddresses {
  readonly ipv4?: { readonly local: string; readonly remoteOrNetmask: string };
  readonly ipv6?: { readonly address: string; readonly prefixBits: number; readonly remote: string };
}

/**
 * What a server pushes to one client before the negotiated options: its own list, as the client's configuration
 * changes it, then the addresses. OpenVPN: prepare_push_reply().
 */
export function pushedOptions(
  common: readonly string[],
  config: ClientConfig,
  addresses: VirtualAddresses,
): readonly string[] {
  const options = config.pushReset ? [] : common.filter((option) => !isRemoved(option, config.pushRemove));
  options.push(...config.push);
  const { ipv4, ipv6 } = addresses;
  if (ipv6 !== undefined && !isRemoved('ifconfig-ipv6', config.pushRemove)) {
    options.push(`ifconfig-ipv6 ${ipv6.address}/${ipv6.prefixBits} ${ipv6.remote}`);
  }
  if (ipv4 !== undefined) options.push(`ifconfig ${ipv4.local} ${ipv4.remoteOrNetmask}`);
  return options;
}

/** OpenVPN compares the beginnings, whatever its manual says (push_remove_option()). */
function isRemoved(option: string, removed: readonly string[]): boolean {
  return removed.some((prefix) => option.startsWith(prefix));
}
