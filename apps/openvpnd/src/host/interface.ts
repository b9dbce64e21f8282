import { ip, ipBatch } from './ip-command.js';

/** What the tunnel's interface is configured with. Addresses are text; absent families are left alone. */
export interface InterfaceSettings {
  readonly mtu: number;
  readonly ipv4?:
    | { readonly kind: 'subnet'; readonly address: string; readonly prefixBits: number }
    | { readonly kind: 'peer'; readonly address: string; readonly remote: string };
  readonly ipv6?: { readonly address: string; readonly prefixBits: number };
}

/** 65507 bytes of a UDP datagram less what sealing adds to each segment of 1400 bytes or more. */
const SUPER_PACKET_BYTES = 60_000;
/** What all kernels with UDP_SEGMENT take. */
const SUPER_PACKET_SEGMENTS = 64;

/** Tells one line to the log. */
export type Say = (line: string) => void;

/**
 * Brings an interface up with its addresses. OpenVPN: do_ifconfig(); the lines are those of its netlink build.
 *
 * @param superPackets it hands over super-packets, which are kept so small that one of them, sealed, is one send: as many segments and bytes as a UDP message
 *   takes. An `ip` or a kernel that does not know the limits is no error: then some take two.
 * @throws IpCommandError
 */
export async function configureInterface(
  device: string,
  settings: InterfaceSettings,
  say: Say,
  { superPackets = false }: { readonly superPackets?: boolean } = {},
): Promise<void> {
  const commands: string[] = [];
  commands.push(`link set dev ${device} mtu ${settings.mtu}`);
  say(`net_iface_mtu_set: mtu ${settings.mtu} for ${device}`);
  commands.push(`link set dev ${device} up`);
  say(`net_iface_up: set ${device} up`);
  const { ipv4, ipv6 } = settings;
  if (ipv4?.kind === 'subnet') {
    commands.push(`addr replace ${ipv4.address}/${ipv4.prefixBits} broadcast + dev ${device}`);
    say(`net_addr_v4_add: ${ipv4.address}/${ipv4.prefixBits} dev ${device}`);
  } else if (ipv4?.kind === 'peer') {
    commands.push(`addr replace ${ipv4.address} peer ${ipv4.remote} dev ${device}`);
    say(`net_addr_ptp_v4_add: ${ipv4.address} peer ${ipv4.remote} dev ${device}`);
  }
  if (ipv6 !== undefined) {
    commands.push(`addr replace ${ipv6.address}/${ipv6.prefixBits} dev ${device} nodad`);
    say(`net_addr_v6_add: ${ipv6.address}/${ipv6.prefixBits} dev ${device}`);
  }
  if (!superPackets) return await ipBatch(commands);
  const limits = `gso_max_size ${SUPER_PACKET_BYTES} gso_max_segs ${SUPER_PACKET_SEGMENTS}`;
  // A program is started once for all of it: that takes longer than what it does.
  await ipBatch([`link set dev ${device} ${limits}`, ...commands]).catch(() => ipBatch(commands));
}

/** Sets how many packets the interface keeps for us (--txqueuelen). A failure is a note. OpenVPN: open_tun_generic(). */
export async function setTransmitQueue(device: string, packets: number, say: Say): Promise<void> {
  try {
    await ip('link', 'set', 'dev', device, 'txqueuelen', String(packets));
    say(`TUN/TAP TX queue length set to ${packets}`);
  } catch {
    say(`Note: Cannot set tx queue length on ${device}`);
  }
}

/**
 * Removes the addresses that {@link configureInterface} set. What is gone already is no error: the interface may have
 * been deleted under us.
 */
export async function unconfigureInterface(device: string, settings: InterfaceSettings, say: Say): Promise<void> {
  const { ipv4, ipv6 } = settings;
  if (ipv4?.kind === 'subnet') {
    say(`net_addr_v4_del: ${ipv4.address} dev ${device}`);
    await ip('addr', 'del', `${ipv4.address}/${ipv4.prefixBits}`, 'dev', device).catch(() => {});
  } else if (ipv4?.kind === 'peer') {
    say(`net_addr_ptp_v4_del: ${ipv4.address} dev ${device}`);
    await ip('addr', 'del', ipv4.address, 'peer', ipv4.remote, 'dev', device).catch(() => {});
  }
  if (ipv6 !== undefined) {
    say(`net_addr_v6_del: ${ipv6.address}/${ipv6.prefixBits} dev ${device}`);
    await ip('-6', 'addr', 'del', `${ipv6.address}/${ipv6.prefixBits}`, 'dev', device).catch(() => {});
  }
}
