import { type AddressPool, formatInnerAddress, type InnerAddress, parseInnerAddress } from '@openvpnd/internal-mux';

/** A line for the log, and from which `--verb` on. */
export interface PoolFileLine {
  readonly verb: 1 | 3;
  readonly text: string;
}

/** What is shown of a line that somebody else wrote. */
const SHOWN = 256;

/**
 * Gives the common names in a file of `--ifconfig-pool-persist` their claims: `CN,ip4[,ip6]` a line, either address may be missing, `#` and `;` begin comments. Lines that
 * are of no use are told and left out. The lines are OpenVPN's. OpenVPN: ifconfig_pool_read().
 *
 * @param fixed the file is only read: nobody else gets these addresses
 */
export function readPoolFile(pool: AddressPool, text: string, fixed: boolean): readonly PoolFileLine[] {
  const lines: PoolFileLine[] = [];
  const warn = (message: string): void => {
    lines.push({ verb: 1, text: message });
  };
  for (const line of text.split('\n')) {
    if (line === '' || line.startsWith('#') || line.startsWith(';')) continue;
    lines.push({ verb: 3, text: `ifconfig_pool_read(), in='${printable(line)}'` });
    const [commonName, ipv4, ipv6] = line.split(',');
    if (!ipv4 && !ipv6) {
      warn(`pool: a line without an address is ignored: '${printable(line)}'`);
      continue;
    }
    const cn = printable(commonName);
    const place4 = placeOf(pool, 'IPv4', ipv4, cn, warn);
    const place6 = placeOf(pool, 'IPv6', ipv6, cn, warn);
    if (place4 !== undefined && place6 !== undefined && place4.index !== place6.index) {
      warn(
        `pool: IPv4 (${printable(ipv4)}) and IPv6 (${printable(ipv6)}) have different offsets! Relying on IPv4 for CN=${cn}`,
      );
    }
    const place = place4 ?? place6;
    if (place === undefined) continue;
    if (pool.restore(commonName, place.address, fixed)) {
      lines.push({ verb: 3, text: `succeeded -> ifconfig_pool_set(hand=${place.index})` });
    } else {
      warn(`pool: ${formatInnerAddress(place.address)} is spoken for, or CN=${cn} has another one`);
    }
  }
  const list = poolFileText(pool).split('\n').filter(Boolean);
  return [...lines, ...['IFCONFIG POOL LIST', ...list].map((entry) => ({ verb: 3 as const, text: entry }))];
}

/** The text of such a file: whoever has or had addresses, in the order of the addresses. OpenVPN: ifconfig_pool_list(). */
export function poolFileText(pool: AddressPool): string {
  // A name that would read as two fields, two lines or a comment has no line.
  const entries = pool.entries().filter(({ commonName }) => !/^[#;]|[,\n\r]/.test(commonName));
  const lines = entries.map(({ commonName, lease }) => {
    const [ipv4, ipv6] = [lease.ipv4, lease.ipv6].map((address) => (address ? formatInnerAddress(address) : ''));
    return `${commonName},${ipv4},${ipv6}\n`;
  });
  return lines.join('');
}

function placeOf(
  pool: AddressPool,
  family: 'IPv4' | 'IPv6',
  text: string | undefined,
  commonName: string,
  warn: (message: string) => void,
): { readonly index: number; readonly address: InnerAddress } | undefined {
  if (!text) return undefined;
  const address = parseInnerAddress(text);
  if (address === undefined || address.length !== (family === 'IPv4' ? 4 : 16)) {
    warn(`pool: invalid ${family} (${printable(text)}) for CN=${commonName}`);
    return undefined;
  }
  const index = pool.indexOf(address);
  if (index === undefined) warn(`pool: ${family} (${printable(text)}) out of pool range for CN=${commonName}`);
  return index === undefined ? undefined : { index, address };
}

function printable(text: string): string {
  return text.slice(0, SHOWN).replace(/[^ -~]/g, '?');
}
